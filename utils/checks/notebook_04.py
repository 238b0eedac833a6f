"""The exercises of notebook 04."""

import torch
from torch import Tensor
from torch.nn import functional as F

from utils.checks import Exercise


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a.float(), b.float(), atol=1e-4)


# ------------------------------------------------------------------------------------- 04.1 LayerNorm


def layer_norm(x: Tensor, gain: Tensor, bias: Tensor, eps: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred**2).mean(-1, keepdim=True)
    return gain * centred / torch.sqrt(variance + eps) + bias


def _norm_problem(answer) -> str | None:
    gain, bias = torch.tensor([1.0, 1.0, 2.0, 1.0]), torch.tensor([0.0, 0.0, 0.0, 1.0])
    one, zero = torch.ones(4), torch.zeros(4)
    x = torch.tensor([3.0, 9.0, 11.0, 17.0])
    y = answer(x, one, zero, 0.0)
    if not isinstance(y, Tensor):
        return f"it gives a {type(y).__name__}; it must give a tensor of the shape of x."
    if y.shape != x.shape:
        return f"for x of shape (4,) it gives shape {tuple(y.shape)}; it must keep the shape."
    centred = x - x.mean()
    if _close(y, centred):
        return "your vector has mean 0 but was not divided by the root of its variance (steps 3 and 4)."
    if _close(y, centred / 25):
        return "you divided by the variance 25; divide by its square root, 5."
    if _close(y, centred / x.std()):
        return "you divided the sum of squares by n - 1, as torch's std does; LayerNorm divides by n."
    if not _close(y, centred / 5):
        return "for [3, 9, 11, 17] with gain 1 and bias 0 it must give [-1.4, -0.2, 0.2, 1.4]."
    y = answer(x, gain, bias, 0.0)
    if not _close(y, layer_norm(x, gain, bias, 0.0)):
        return "step 5 is not right: multiply by the gain, then add the bias, each place with its own number."
    tokens = torch.stack([x, 10 * x + 3, -x])  # (3, 4)
    y = answer(tokens[None], gain, bias, 0.0)  # (1, 3, 4)
    if not isinstance(y, Tensor) or not _close(y, layer_norm(tokens[None], gain, bias, 0.0)):
        return "with several tokens the numbers mix: each token has its own mean and variance, over the last axis only."
    if not _close(answer(0.01 * x, one, zero, 0.01), layer_norm(0.01 * x, one, zero, 0.01)):
        return "eps is not in its place: add it to the variance, inside the root."
    return None


def _norm_sample(x, gain, bias, eps):
    return gain * (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + eps).sqrt() + bias


def _norm_outside(x, gain, bias, eps):
    return gain * (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True, correction=0) + eps) + bias


def _norm_everything(x, gain, bias, eps):
    return gain * (x - x.mean()) / (x.var(correction=0) + eps).sqrt() + bias


def _norm_variance(x, gain, bias, eps):
    return gain * (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + eps) + bias


def _norm_plain(x, gain, bias, eps):
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + eps).sqrt()


# ------------------------------------------------------------------------------------- 04.2 the block


def encoder_block(x, attention, norm_1, feed_forward, norm_2):
    x = norm_1(x + attention(x))
    return norm_2(x + feed_forward(x))


def _block_problem(answer) -> str | None:
    generator = torch.Generator().manual_seed(0)
    x, a, f = (torch.randn(*shape, generator=generator) for shape in ((3, 4), (4, 4), (4, 4)))
    gains = torch.tensor([1.0, 2.0, 0.5, 1.5]), torch.tensor([0.5, 1.0, 2.0, 1.0])
    parts = (
        lambda t: t @ a,
        lambda t: gains[0] * F.layer_norm(t, (4,)),
        lambda t: torch.tanh(t @ f),
        lambda t: gains[1] * F.layer_norm(t, (4,)),
    )
    y = answer(x, *parts)
    if not isinstance(y, Tensor) or y.shape != x.shape:
        return "it must give one tensor of the shape of x."
    attention, norm_1, feed_forward, norm_2 = parts
    if _close(y, encoder_block(x, *parts)):
        return None
    middle, before = norm_1(x + attention(x)), x + attention(norm_1(x))
    for mistake, sentence in (
        (norm_2(feed_forward(norm_1(attention(x)))), "both shortcuts are missing: each part adds its input."),
        (norm_2(feed_forward(middle)), "the second shortcut is missing: add the input of the feed-forward part."),
        (norm_2(middle + feed_forward(norm_1(attention(x)))), "the first shortcut is missing: add x to attention."),
        (norm_2(x + feed_forward(middle)), "the second shortcut must add the input of the feed-forward part, not the x of the start."),
        (norm_2(x + attention(x) + feed_forward(x + attention(x))), "norm_1 is missing: there are two add & norm in a block."),
        (before + feed_forward(norm_2(before)), "you normalise before each part; BERT adds first and normalises after."),
    ):  # fmt: skip
        if _close(y, mistake):
            return sentence
    return "the order must be: attention, add x and norm_1; then feed_forward, add its input and norm_2."


def _block_bare(x, attention, norm_1, feed_forward, norm_2):
    return norm_2(feed_forward(norm_1(attention(x))))


def _block_from_the_start(x, attention, norm_1, feed_forward, norm_2):
    return norm_2(x + feed_forward(norm_1(x + attention(x))))


def _block_one_norm(x, attention, norm_1, feed_forward, norm_2):
    x = x + attention(x)
    return norm_2(x + feed_forward(x))


def _block_before(x, attention, norm_1, feed_forward, norm_2):
    x = x + attention(norm_1(x))
    return x + feed_forward(norm_2(x))


# -------------------------------------------------------------------------------- 04.3 the tied scores


def word_scores(states: Tensor, word_vectors: Tensor, bias: Tensor) -> Tensor:
    return states @ word_vectors.T + bias


def _scores_problem(answer) -> str | None:
    words = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]])
    states = torch.tensor([[[0.9, 0.1], [0.2, 2.0]]])  # (1, 2, 2)
    scores = answer(states, words, torch.zeros(3))
    if not isinstance(scores, Tensor):
        return f"it gives a {type(scores).__name__}; it must give a tensor, one score for each word piece."
    if scores.shape == (1, 2):
        return "you gave the best word piece of each token; give the scores of all of them."
    if scores.shape != (1, 2, 3):
        return f"for 2 tokens and 3 word pieces it gives shape {tuple(scores.shape)}; it must be (1, 2, 3)."
    expected = word_scores(states, words, torch.zeros(3))
    if _close(scores, torch.softmax(expected, -1)):
        return "these are probabilities; stop one step earlier: the loss applies softmax itself."
    if _close(scores, F.normalize(states, dim=-1) @ F.normalize(words, dim=-1).T):
        return "these are cosines; a score is the plain dot product, and a longer state scores higher."
    if not _close(scores, expected):
        return "a score is the dot product of a token's state with the vector of a word piece."
    bias = torch.tensor([0.0, 5.0, 0.0])
    if not _close(answer(states, words, bias), word_scores(states, words, bias)):
        return "the bias is missing: add the number of each word piece to its score."
    return None


# ---------------------------------------------------------------------------- 04.4 parameters of a block


def block_parameters(n: int, f: int) -> int:
    attention = 4 * (n * n + n)
    feed_forward = (n * f + f) + (f * n + n)
    return attention + feed_forward + 2 * 2 * n


def _count_problem(answer) -> str | None:
    n, f = 10, 30
    count = answer(n, f)
    if not isinstance(count, int):
        return f"it gives {count!r}; it must give a whole number."
    right = block_parameters(n, f)
    sentences = {
        4 * n * n + 2 * n * f: "you counted the matrices only; biases and the two LayerNorms are missing.",
        right - 5 * n - f: "the biases are missing: each linear layer has one number for each output.",
        right - 4 * n: "the two LayerNorms are missing: each has a gain and a bias, n numbers each.",
        right - 2 * n: "you counted one LayerNorm; a block has two, each with a gain and a bias.",
        right - n * n - n: "you counted three matrices of attention; the output projection is the fourth.",
        right - 2 * n * f - n - f + n * f + f: "you counted one matrix of the feed-forward part; it has two.",
        block_parameters(n, 4 * n): "you took f = 4·n; f is given and may be another number.",
    }
    if count in sentences and count != right:
        return sentences[count]
    return None if count == right else f"for n = 10 and f = 30 it gives {count:,}; it must be {right:,}."


EXERCISES = {
    "04.1": Exercise(
        "LayerNorm",
        layer_norm,
        _norm_problem,
        (
            (_norm_sample, "n - 1"),
            (_norm_outside, "inside"),
            (_norm_everything, "last axis"),
            (_norm_variance, "square root"),
            (_norm_plain, "gain"),
            (lambda x, gain, bias, eps: x - x.mean(-1, keepdim=True), "variance"),
        ),
    ),
    "04.2": Exercise(
        "the encoder block",
        encoder_block,
        _block_problem,
        (
            (_block_bare, "shortcuts"),
            (_block_from_the_start, "of the start"),
            (_block_one_norm, "two add & norm"),
            (_block_before, "after"),
        ),
    ),
    "04.3": Exercise(
        "scores of all word pieces",
        word_scores,
        _scores_problem,
        (
            (lambda s, w, b: torch.softmax(s @ w.T + b, -1), "probabilities"),
            (lambda s, w, b: F.normalize(s, dim=-1) @ F.normalize(w, dim=-1).T, "cosines"),
            (lambda s, w, b: s @ w.T, "bias"),
            (lambda s, w, b: (s @ w.T + b).argmax(-1), "best word piece"),
        ),
    ),
    "04.4": Exercise(
        "parameters of a block",
        block_parameters,
        _count_problem,
        (
            (lambda n, f: 4 * n * n + 2 * n * f, "matrices only"),
            (lambda n, f: 4 * n * n + 2 * n * f + 4 * n, "each linear layer"),
            (lambda n, f: 4 * (n * n + n) + n * f + f + f * n + n + 2 * n, "one LayerNorm"),
            (lambda n, f: 3 * (n * n + n) + n * f + f + f * n + n + 4 * n, "fourth"),
            (lambda n, f: block_parameters(n, 4 * n), "f = 4"),
        ),
    ),
}
