"""The exercises of notebook 05."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from utils.checks import Exercise, named_mistake

# ----------------------------------------------------------------------------------- 05.1 80, 10, 10


def shown(labels: Tensor, fate: Tensor, random_ids: Tensor, mask_id: int) -> Tensor:
    return torch.where(fate < 0.8, mask_id, torch.where(fate < 0.9, random_ids, labels))


def _shown_problem(answer) -> str | None:
    labels = torch.arange(1000, 2000).reshape(2, 500)
    random_ids = labels + 5000
    fate = (torch.arange(1000).reshape(2, 500) * 7 % 1000 + 0.5) / 1000  # each thousandth once, out of order
    found = answer(labels, fate, random_ids, 4)
    if not isinstance(found, Tensor) or found.shape != labels.shape:
        return "it must give a tensor of the shape of `labels`: one piece for each chosen token."
    masked, random, kept = (int((found == ids).sum()) for ids in (4, random_ids, labels))
    if masked == 1000:
        return "every chosen token becomes [MASK]; that is the fate of 8 in 10."
    if kept == 0:
        return "no chosen token is left as it is; 1 in 10 must keep its form."
    if random == 0:
        return "no chosen token becomes a random piece; 1 in 10 must."
    if (masked, random, kept) != (800, 100, 100):
        return f"of 1,000 chosen tokens {masked} become [MASK], {random} random and {kept} stay; it must be 800, 100 and 100."
    if not torch.equal(found, shown(labels, fate, random_ids, 4)):
        return (
            "the shares are right, but the fates are mixed up: below 0.8 is [MASK], from 0.8 to 0.9 random."
        )
    return None


# --------------------------------------------------------------------------------- 05.2 the MLM loss


def mlm_loss(logits: Tensor, positions: Tensor, labels: Tensor) -> Tensor:
    rows = torch.arange(len(logits))[:, None]  # (b, 1)
    asked = logits[rows, positions]  # (b, s, v) -> (b, m, v)
    return F.cross_entropy(asked.flatten(0, 1), labels.flatten())


def _loss_problem(answer) -> str | None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(2, 6, 5, generator=generator)
    positions, labels = torch.tensor([[1, 4, 5], [0, 2, 3]]), torch.tensor([[2, 0, 4], [3, 1, 2]])
    value = answer(logits, positions, labels)
    value = torch.as_tensor(value, dtype=torch.float32)
    if value.numel() != 1:
        return (
            f"it gives shape {tuple(value.shape)}; the loss is one number, the mean over all chosen tokens."
        )
    asked = logits.gather(1, positions[..., None].expand(-1, -1, 5)).flatten(0, 1)
    flat, right = labels.flatten(), mlm_loss(logits, positions, labels)
    of_label = asked.gather(1, flat[:, None])
    for mistake, sentence in (
        (6 * right, "you added the losses up; take their mean, or long batches weigh more."),
        (F.cross_entropy(asked.softmax(-1), flat), "cross_entropy takes the softmax itself; give it the logits."),
        (-of_label.mean(), "that is minus the mean logit of the label; softmax and logarithm are missing."),
        (F.cross_entropy(logits[:, :3].flatten(0, 1), flat), "you took the first places; take those in `positions`."),
        ((asked.argmax(-1) != flat).float().mean(), "that is the share of wrong guesses; the loss is -ln p of the label."),
        (-right, "the sign is turned: a loss is -ln p, and never below 0."),
    ):  # fmt: skip
        if torch.isclose(value, mistake, atol=1e-4):
            return sentence
    if not torch.isclose(value, right, atol=1e-4):
        return "it is not the mean of -ln p(label) over the places in `positions`; other places have no part in it."
    return None


def _everywhere(logits: Tensor, positions: Tensor, labels: Tensor) -> Tensor:
    targets = torch.zeros(logits.shape[:2], dtype=torch.int64).scatter(1, positions, labels)
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def _asked(logits: Tensor, positions: Tensor) -> Tensor:
    return logits[torch.arange(len(logits))[:, None], positions].flatten(0, 1)


# ------------------------------------------------------------------------------ 05.3 does B follow A?


def pair_label(documents: list[list[str]], a: tuple[int, int], b: tuple[int, int]) -> int | None:
    (document, place), (other, there) = a, b
    if document == other:
        return 0 if there == place + 1 else None
    following = documents[document][place + 1 : place + 2]
    return None if documents[other][there] in following else 1


def _pair_problem(answer) -> str | None:
    documents = [
        ["The kettle leaks.", "Please help.", "It is new."],
        ["Where is my parcel?", "Please help."],
        ["The lamp is dark.", "I changed the bulb."],
    ]

    def given(a, b):
        return answer(documents, a, b)

    if given((0, 0), (0, 1)) == 1 and given((0, 0), (2, 0)) == 0:
        return "your labels are swapped: 0 means that B follows A, 1 that it does not."
    if given((0, 0), (0, 1)) != 0 or given((0, 1), (0, 2)) != 0:
        return "a sentence and the next one of its document must get 0."
    if given((0, 1), (0, 0)) == 0:
        return "B must come after A: the sentence before A gets None."
    if given((0, 0), (0, 2)) == 0:
        return "a later sentence of the same document is not the next one: it gets None."
    if given((0, 0), (0, 2)) == 1 or given((0, 1), (0, 0)) == 1 or given((0, 1), (0, 1)) == 1:
        return "1 is only for sentences of other documents; one of the same document that is not the next gets None."
    if given((0, 0), (2, 0)) != 1 or given((2, 0), (0, 1)) != 1:
        return "a sentence of another document must get 1."
    if given((0, 0), (1, 1)) == 1:
        return '"Please help." does follow "The kettle leaks.": the same words from elsewhere are a false negative, so None.'
    if given((0, 2), (2, 1)) != 1 or given((1, 1), (0, 0)) != 1:
        return "the last sentence of a document may be A too: B of another document then gets 1."
    if given((0, 1), (1, 0)) != 1 or given((0, 1), (1, 1)) != 1:
        return "compare B with the sentence after A, not with the others of A's document."
    return None


def _pair_same_document(documents, a, b):
    return 0 if a[0] == b[0] and b[1] > a[1] else 1 if a[0] != b[0] else None


def _pair_either_way(documents, a, b):
    return 1 if a[0] != b[0] else 0 if abs(a[1] - b[1]) == 1 else None


def _pair_no_none(documents, a, b):
    return 0 if a[0] == b[0] and b[1] == a[1] + 1 else 1


def _pair_twins(documents, a, b):
    if a[0] == b[0]:
        return 0 if b[1] == a[1] + 1 else None
    return 1


def _pair_swapped(documents, a, b):
    label = pair_label(documents, a, b)
    return None if label is None else 1 - label


# ------------------------------------------------------------------------- 05.4 pseudo-perplexity


def pseudo_perplexity(ids: list[int], log_probs, mask_id: int) -> float:
    found = []
    for place in range(1, len(ids) - 1):  # not [CLS], not [SEP]
        hidden = [*ids[:place], mask_id, *ids[place + 1 :]]
        found.append(log_probs(hidden)[place, ids[place]])
    return math.exp(-sum(found) / len(found))


def _toy_log_probs(ids: list[int]) -> Tensor:
    """A language model of eight pieces that sees through what is not hidden, and little of it if much is."""
    table = torch.full((len(ids), 8), 0.1 / 7)
    single = {1: (5, 1 / 2), 2: (6, 1 / 4), 3: (7, 1 / 8)}
    for place, piece in enumerate(ids):
        if piece != 3:
            table[place, piece] = 0.9
        elif ids.count(3) > 1:
            table[place] = 1 / 16
        elif place in single:
            table[place, single[place][0]] = single[place][1]
        else:
            table[place, {0: 1}.get(place, 2)] = 0.9
    return table.log()


def _ppl_problem(answer) -> str | None:
    ids = [1, 5, 6, 7, 2]  # [CLS] three pieces [SEP]; p = 1/2, 1/4, 1/8, so the right answer is 4
    value = answer(list(ids), _toy_log_probs, 3)
    if not isinstance(value, (int, float, Tensor)) or torch.as_tensor(value).numel() != 1:
        return f"it gives a {type(value).__name__}; it must give one number."
    value = float(value)
    sentences = {
        1 / 0.9: "nothing was hidden, so each piece could see itself: put mask_id in its place.",
        16.0: "you hid all pieces at once; hide one, ask for it, and put it back.",
        math.log(4): "that is the mean of -ln p; take exp of it.",
        64.0: "you added up -ln p; divide by the number of pieces, or long texts look worse.",
        1 / 4: "the sign is turned: it is exp of minus the mean of ln p.",
        math.exp(
            (math.log(64) + 2 * math.log(1 / 0.9)) / 5
        ): "[CLS] and [SEP] have no part in it: leave out both ends.",
    }
    if mistake := named_mistake(value, sentences, rel_tol=1e-4):
        return mistake
    if not math.isclose(value, 4.0, rel_tol=1e-4):
        return f"for three pieces with p = 1/2, 1/4 and 1/8 it gives {value:.3g}; it must give 4."
    return None


def _each_hidden(ids, log_probs, mask_id, places):
    return [float(log_probs([*ids[:i], mask_id, *ids[i + 1 :]])[i, ids[i]]) for i in places]


def _ppl_seen(ids, log_probs, mask_id):
    table = log_probs(ids)
    return math.exp(-sum(float(table[i, ids[i]]) for i in range(1, len(ids) - 1)) / (len(ids) - 2))


def _ppl_all_at_once(ids, log_probs, mask_id):
    table = log_probs([ids[0], *[mask_id] * (len(ids) - 2), ids[-1]])
    return math.exp(-sum(float(table[i, ids[i]]) for i in range(1, len(ids) - 1)) / (len(ids) - 2))


def _ppl_ends(ids, log_probs, mask_id):
    return math.exp(-sum(_each_hidden(ids, log_probs, mask_id, range(len(ids)))) / len(ids))


def _ppl_no_exp(ids, log_probs, mask_id):
    return -sum(_each_hidden(ids, log_probs, mask_id, range(1, len(ids) - 1))) / (len(ids) - 2)


def _ppl_sum(ids, log_probs, mask_id):
    return math.exp(-sum(_each_hidden(ids, log_probs, mask_id, range(1, len(ids) - 1))))


EXERCISES = {
    "05.1": Exercise(
        "80, 10, 10",
        shown,
        _shown_problem,
        (
            (lambda y, fate, random, mask: torch.full_like(y, mask), "8 in 10"),
            (lambda y, fate, random, mask: torch.where(fate < 0.8, mask, random), "keep its form"),
            (lambda y, fate, random, mask: torch.where(fate < 0.8, mask, y), "random piece"),
            (
                lambda y, fate, random, mask: torch.where(
                    fate < 0.12, mask, torch.where(fate < 0.135, random, y)
                ),
                "800",
            ),
            (
                lambda y, fate, random, mask: torch.where(
                    fate < 0.8, mask, torch.where(fate < 0.9, y, random)
                ),
                "mixed up",
            ),
        ),
    ),
    "05.2": Exercise(
        "the loss at the hidden places",
        mlm_loss,
        _loss_problem,
        (
            (_everywhere, "other places"),
            (lambda x, at, y: F.cross_entropy(_asked(x, at), y.flatten(), reduction="sum"), "mean"),
            (lambda x, at, y: F.cross_entropy(_asked(x, at).softmax(-1), y.flatten()), "softmax itself"),
            (lambda x, at, y: F.cross_entropy(x[:, : at.shape[1]].flatten(0, 1), y.flatten()), "positions"),
            (lambda x, at, y: (_asked(x, at).argmax(-1) != y.flatten()).float().mean(), "wrong guesses"),
        ),
    ),
    "05.3": Exercise(
        "does B follow A?",
        pair_label,
        _pair_problem,
        (
            (_pair_same_document, "not the next one"),
            (_pair_either_way, "after A"),
            (_pair_no_none, "other documents"),
            (_pair_twins, "false negative"),
            (_pair_swapped, "swapped"),
        ),
    ),
    "05.4": Exercise(
        "pseudo-perplexity",
        pseudo_perplexity,
        _ppl_problem,
        (
            (_ppl_seen, "see itself"),
            (_ppl_all_at_once, "at once"),
            (_ppl_ends, "both ends"),
            (_ppl_no_exp, "take exp"),
            (_ppl_sum, "divide"),
        ),
    ),
}
