"""The exercises of notebook 12."""

import math
from collections import Counter

import torch
from torch import Tensor

from utils.checks import Exercise, named_mistake

# --------------------------------------------------------------------- 12.1 inputs and next tokens


def inputs_and_targets(ids: Tensor) -> tuple[Tensor, Tensor]:
    return ids[:, :-1], ids[:, 1:]


def _targets_problem(answer) -> str | None:
    ids = torch.tensor([[11, 12, 13, 14], [21, 22, 23, 24]])
    found = answer(ids)
    if not isinstance(found, (tuple, list)) or len(found) != 2:
        return "give two tensors: what the decoder reads, and what it should say at each place."
    inputs, targets = (torch.as_tensor(part) for part in found)
    if inputs.shape != targets.shape:
        return f"inputs {tuple(inputs.shape)} and targets {tuple(targets.shape)} must have one shape: one target for each input."
    if inputs.shape[0] != 2:
        return "you shifted along the batch; the shift is along the tokens, the second axis."
    if torch.equal(inputs, targets):
        return "each token is its own target: the decoder would only have to copy it."
    if torch.equal(inputs, ids[:, 1:]) and torch.equal(targets, ids[:, :-1]):
        return "your targets are the past: from 12 the decoder should say 13, not 11."
    if targets.shape[1] == 4:
        return "the last token has no next one in its row, and the first of the row must not take its place: drop that place."
    if not (torch.equal(inputs, ids[:, :-1]) and torch.equal(targets, ids[:, 1:])):
        return "for 11 12 13 14 the inputs must be 11 12 13 and the targets 12 13 14."
    return None


# ------------------------------------------------------------- 12.2 probabilities to draw from


def drawing_probabilities(logits: Tensor, temperature: float, top_k: int) -> Tensor:
    least = logits.topk(top_k).values[-1]
    kept = logits.masked_fill(logits < least, -math.inf)
    return torch.softmax(kept / temperature, -1)


LOGITS = torch.tensor([1.0, 3.0, 0.0, 2.0, -1.0])


def _drawing_problem(answer) -> str | None:
    found = torch.as_tensor(answer(LOGITS.clone(), 0.5, 3), dtype=torch.float)
    if found.shape != LOGITS.shape:
        return f"for 5 logits it gives shape {tuple(found.shape)}; one probability for each piece is needed, 0 for those not kept."
    right, everything = (drawing_probabilities(LOGITS, 0.5, k) for k in (3, 5))
    if found.isnan().any() or (found < 0).any():
        return "some of your probabilities are negative or no number: cut the logits to -inf before the softmax, not after."
    if torch.allclose(found, everything, atol=1e-4):
        return "all five pieces may be drawn: with top_k=3 the two least likely must get 0."
    if (found > 0).sum() == 3 and not math.isclose(found.sum().item(), 1, abs_tol=1e-4):
        return f"your probabilities sum to {found.sum():.2f}: what is cut off must be shared among the kept pieces, so cut before the softmax."
    if torch.allclose(found, drawing_probabilities(LOGITS, 2.0, 3), atol=1e-4):
        return (
            "a temperature of 0.5 made the probabilities flatter: divide the logits by it; do not multiply."
        )
    if torch.allclose(found, drawing_probabilities(LOGITS, 1.0, 3), atol=1e-4):
        return "your function ignores the temperature, or divides probabilities by it: divide the logits."
    if torch.equal(found, torch.nn.functional.one_hot(LOGITS.argmax(), 5).float()):
        return "that is greedy: the likeliest piece gets everything; the three kept ones must share."
    if not torch.allclose(found, right, atol=1e-4):
        return "for logits 1, 3, 0, 2, -1 with temperature 0.5 and top_k 3 the kept pieces must get 2%, 87% and 12%."
    return None


def _share_cut_after(logits, temperature, top_k):
    p = torch.softmax(logits / temperature, -1)
    return torch.where(p >= p.topk(top_k).values[-1], p, 0.0)


def _multiplied(logits, temperature, top_k):
    return drawing_probabilities(logits, 1 / temperature, top_k)


def _without_temperature(logits, temperature, top_k):
    p = drawing_probabilities(logits, 1.0, top_k) / temperature
    return p / p.sum()


# ----------------------------------------------------------------------------- 12.3 perplexity


def perplexity(log_p: list[float]) -> float:
    return math.exp(-sum(log_p) / len(log_p))


def _perplexity_problem(answer) -> str | None:
    p = [0.5, 0.125, 0.25, 0.25]  # their geometric mean is 1/4
    value = float(answer([math.log(one) for one in p]))
    sentences = {
        0.25: "that is the geometric mean of the probabilities; perplexity is one over it: mind the minus.",
        1 / math.prod(p): "that is one over the product: divide the sum of the logarithms by the number of tokens first.",
        math.log(4): "that is the mean loss in nats; perplexity is e to the power of it.",
        2 ** math.log(4): "the logarithms are natural ones, so the base of the power is e, not 2.",
        sum(1 / one for one in p) / 4: "that is the mean of 1/p; perplexity takes the mean of the logarithms, then the power.",
    }  # fmt: skip
    if mistake := named_mistake(value, sentences, rel_tol=1e-4):
        return mistake
    if not math.isclose(value, 4, rel_tol=1e-4):
        return f"for probabilities 1/2, 1/8, 1/4 and 1/4 it gives {value:.3g}; it must be 4."
    return None


# ---------------------------------------------------------------------- 12.4 clipped precision


def clipped_precision(hypothesis: list[str], reference: list[str], n: int) -> float:
    def runs(words):
        return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))

    found, wanted = runs(hypothesis), runs(reference)
    return sum(min(count, wanted[run]) for run, count in found.items()) / sum(found.values())


REFERENCE = ["the", "cat", "sat", "on", "the", "mat"]


def _precision_problem(answer) -> str | None:
    the = answer(["the"] * 4, REFERENCE, 1)
    if math.isclose(the, 1):
        return "'the the the the' scores 1: count each run at most as often as the reference has it; 'the' stands there twice."
    if math.isclose(the, 2 / 6):
        return "you divided by the runs of the reference: that is a recall; precision divides by the runs of the hypothesis."
    if math.isclose(the, 1 / 4):
        return "'the' may count twice, for the reference has it twice: use counts, not sets."
    if not math.isclose(the, 1 / 2):
        return (
            f"'the the the the' against 'the cat sat on the mat' gives {the:.3g} for n=1; it must be 2 of 4."
        )
    pairs = answer([word for word in REFERENCE if word != "sat"], REFERENCE, 2)
    if math.isclose(pairs, 1):
        return "with n=2 single words still count: 'cat on' is no run of the reference."
    if not math.isclose(pairs, 3 / 4):
        return f"'the cat on the mat' has four runs of two words and three are in the reference; your function gives {pairs:.3g}."
    return None


def _unclipped(hypothesis, reference, n):
    runs = [[tuple(words[i : i + n]) for i in range(len(words) - n + 1)] for words in (hypothesis, reference)]
    return sum(run in runs[1] for run in runs[0]) / len(runs[0])


def _recall(hypothesis, reference, n):
    return clipped_precision(reference, hypothesis, n)


def _single_words(hypothesis, reference, n):
    return clipped_precision(hypothesis, reference, 1)


def _sets(hypothesis, reference, n):
    runs = [{tuple(words[i : i + n]) for i in range(len(words) - n + 1)} for words in (hypothesis, reference)]
    return len(runs[0] & runs[1]) / (len(hypothesis) - n + 1)


EXERCISES = {
    "12.1": Exercise(
        "the next token as target",
        inputs_and_targets,
        _targets_problem,
        (
            (lambda ids: (ids, ids), "copy"),
            (lambda ids: (ids[:, 1:], ids[:, :-1]), "past"),
            (lambda ids: (ids, ids.roll(-1, 1)), "last token"),
            (lambda ids: (ids[:-1], ids[1:]), "batch"),
            (lambda ids: (ids, ids[:, 1:]), "one shape"),
        ),
    ),
    "12.2": Exercise(
        "temperature and top-k",
        drawing_probabilities,
        _drawing_problem,
        (
            (_multiplied, "flatter"),
            (_share_cut_after, "sum to"),
            (_without_temperature, "ignores"),
            (lambda logits, temperature, top_k: torch.softmax(logits / temperature, -1), "all five"),
        ),
    ),
    "12.3": Exercise(
        "perplexity",
        perplexity,
        _perplexity_problem,
        (
            (lambda log_p: math.exp(sum(log_p) / len(log_p)), "minus"),
            (lambda log_p: math.exp(-sum(log_p)), "product"),
            (lambda log_p: -sum(log_p) / len(log_p), "nats"),
            (lambda log_p: 2 ** (-sum(log_p) / len(log_p)), "base"),
            (lambda log_p: sum(math.exp(-one) for one in log_p) / len(log_p), "mean of 1/p"),
        ),
    ),
    "12.4": Exercise(
        "clipped precision",
        clipped_precision,
        _precision_problem,
        (
            (_unclipped, "at most as often"),
            (_recall, "recall"),
            (_single_words, "single words"),
            (_sets, "counts, not sets"),
        ),
    ),
}
