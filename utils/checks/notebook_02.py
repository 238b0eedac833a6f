"""The exercises of notebook 02."""

import math

import torch
from torch import Tensor

from utils.checks import Exercise


def attention_weights(query: Tensor, key: Tensor) -> Tensor:
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    return torch.softmax(scores, dim=-1)


def _close(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a.float(), b.float(), atol=1e-5)


def _ones(sums: Tensor) -> bool:
    return torch.allclose(sums.float(), torch.ones_like(sums).float(), atol=1e-4)


def _weights_problem(answer) -> str | None:
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(3, 4, generator=generator), torch.randn(5, 4, generator=generator)
    weights = answer(query, key)
    if not isinstance(weights, Tensor):
        return f"it gives a {type(weights).__name__}; it must give one tensor, the table of weights."
    if weights.shape == (5, 3):
        return "your table has a row for each key; it must have a row for each query: compute query @ key, with key transposed."
    if weights.shape != (3, 5):
        return f"for 3 queries and 5 keys your table has shape {tuple(weights.shape)}; it must be (3, 5)."
    if not _ones(weights.sum(-1)):
        if _ones(weights.sum(-2)):
            return "your weights sum to 1 over queries; they must sum to 1 over keys: softmax with dim=-1."
        return "the rows of your table do not sum to 1: the softmax over the keys is missing."
    scores = query @ key.T
    if _close(weights, torch.softmax(scores, dim=-1)):
        return "the scores are not scaled: divide them by the square root of the width before the softmax."
    if _close(weights, torch.softmax(scores / 4, dim=-1)):
        return "you divided by the width itself; divide by its square root."
    if not _close(weights, attention_weights(query, key)):
        return "the rows sum to 1, but are not softmax(query @ key transposed / root of the width); the width is the size of the last axis."
    query, key = torch.randn(2, 3, 4, generator=generator), torch.randn(2, 5, 4, generator=generator)
    sentence = "it works for one text but not for a batch of two: transpose the last two axes only, key.transpose(-2, -1), and use dim=-1."
    try:
        return None if _close(answer(query, key), attention_weights(query, key)) else sentence
    except RuntimeError:
        return sentence


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    weights = torch.softmax(scores.masked_fill(~mask, -math.inf), dim=-1)
    return weights.masked_fill(~mask, 0.0)


def _mask_problem(answer) -> str | None:
    scores = torch.tensor([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 2.0]])
    mask = torch.tensor([[True, False, False], [True, True, False], [False, True, True]])
    weights = answer(scores, mask)
    if not isinstance(weights, Tensor) or weights.shape != scores.shape:
        return "it must give a tensor of the shape of `scores`: one weight for each pair."
    if _close(weights, masked_softmax(scores, ~mask)):
        return "your mask works the wrong way round: True means that the key may be seen."
    if (weights[~mask] != 0).any():
        return (
            "a hidden key still gets some weight; its score must be -inf, because a score of 0 gives e^0 = 1."
        )
    if not _ones(weights.sum(-1)):
        return "the rows no longer sum to 1: hide the keys before the softmax, not only after it."
    if not _close(weights, masked_softmax(scores, mask)):
        return "the hidden keys get 0, but the other weights are not the softmax of their scores."
    mask = torch.tensor([[True, True, True], [False, False, False], [True, False, False]])
    weights = answer(scores, mask)
    if weights.isnan().any():
        return (
            "a query that may see no key gets NaN (0 divided by 0); set its weights to 0 after the softmax."
        )
    if not _close(weights, masked_softmax(scores, mask)):
        return "a query that may see no key must get weights of 0 only."
    return None


def split_heads(states: Tensor, heads: int) -> Tensor:
    return states.unflatten(-1, (heads, -1)).transpose(1, 2)


def _split_problem(answer) -> str | None:
    states = torch.arange(24).view(1, 3, 8)  # one text, 3 tokens, 8 numbers each
    parts = answer(states, 4)
    if not isinstance(parts, Tensor):
        return f"it gives a {type(parts).__name__}; it must give one tensor of shape (1, 4, 3, 2)."
    if parts.shape == (1, 3, 4, 2):
        return "the last axis is cut, but the heads come after the tokens; swap axes 1 and 2."
    if parts.shape != (1, 4, 3, 2):
        return f"3 tokens of 8 numbers and 4 heads give shape {tuple(parts.shape)}; it must be (1, 4, 3, 2)."
    if torch.equal(parts, states.reshape(1, 4, 3, 2)):
        return "the shape is right, but your heads mix tokens: cut the last axis into heads first, then swap axes 1 and 2."
    if not torch.equal(parts, split_heads(states, 4)):
        return "the shape is right, but head 0 must hold the first 2 neighbouring numbers of each token."
    return None


EXERCISES = {
    "02.1": Exercise(
        "attention weights",
        attention_weights,
        _weights_problem,
        (
            (lambda query, key: torch.softmax(query @ key.transpose(-2, -1), dim=-1), "not scaled"),
            (lambda query, key: torch.softmax(query @ key.mT / query.shape[-1], dim=-1), "square root"),
            (lambda query, key: torch.softmax(query @ key.mT / query.shape[-1] ** 0.5, dim=-2), "over keys"),
            (lambda query, key: query @ key.mT / query.shape[-1] ** 0.5, "softmax"),
            (lambda query, key: torch.softmax(key @ query.mT / query.shape[-1] ** 0.5, dim=-1), "each query"),
            (lambda query, key: torch.softmax(query @ key.permute(1, 0) / 2, dim=-1), "a batch of two"),
        ),
    ),
    "02.2": Exercise(
        "a mask",
        masked_softmax,
        _mask_problem,
        (
            (lambda scores, mask: torch.softmax(scores, dim=-1) * mask, "before the softmax"),
            (lambda scores, mask: torch.softmax(scores * mask, dim=-1), "-inf"),
            (lambda scores, mask: masked_softmax(scores, ~mask), "wrong way round"),
            (
                lambda scores, mask: torch.softmax(scores.masked_fill(~mask, -math.inf), dim=-1),
                "NaN",
            ),
        ),
    ),
    "02.3": Exercise(
        "cutting into heads",
        split_heads,
        _split_problem,
        (
            (lambda states, heads: states.reshape(len(states), heads, states.shape[1], -1), "mix tokens"),
            (lambda states, heads: states.unflatten(-1, (heads, -1)), "swap axes"),
            (lambda states, heads: states.unflatten(-1, (-1, heads)).permute(0, 3, 1, 2), "neighbouring"),
        ),
    ),
}
