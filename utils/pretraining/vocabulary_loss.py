"""The loss over the vocabulary with its gradients in one pass: the largest single cost of a small BERT.

Equal to `F.cross_entropy(F.linear(states, weight, bias), labels)`; the scores of a part of the rows are
turned into their own gradient while they are still in the cache, and never kept. For CPUs.
"""

import torch
from torch import Tensor

SCORES = 2_000_000  # at a time: 8 MB, so that the memory of one part serves the next


class VocabularyLoss(torch.autograd.Function):
    """(r, n) states, (v, n) weight, (v,) bias, (r,) labels -> the mean loss, and the part of right guesses.

    `number` is the format of scores and products, torch.float32 or torch.bfloat16.
    """

    @staticmethod
    def forward(
        ctx, states: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, number: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        with torch.autocast(states.device.type, enabled=False):
            loss, hits, gradients = loss_and_gradients(states.to(number), weight, bias, labels)
        ctx.number, ctx.count = states.dtype, len(labels)
        ctx.save_for_backward(*gradients)
        ctx.mark_non_differentiable(hits)
        return loss, hits

    @staticmethod
    def backward(ctx, gradient: Tensor, _):
        states, weight, bias = ctx.saved_tensors
        gradient = gradient / ctx.count
        return (gradient * states).to(ctx.number), gradient * weight, gradient * bias, None, None


def loss_and_gradients(states: Tensor, weight: Tensor, bias: Tensor, labels: Tensor):
    """Return the mean loss, the part of right guesses, and the sum's gradients of states, weight and bias."""
    count, size, rounded = len(labels), max(1, SCORES // len(weight)), weight.to(states.dtype)
    gradients = torch.empty_like(states), torch.zeros_like(weight), torch.zeros_like(bias)
    loss, hits = bias.new_zeros(()), bias.new_zeros(())
    for start in range(0, count, size):
        part, true = states[start : start + size], labels[start : start + size, None]
        scores = _scores(part, rounded, bias)  # (part, n) -> (part, v)
        highest, asked = scores.amax(1, keepdim=True).float(), scores.gather(1, true).float()  # (part, 1)
        hits += (asked == highest).sum()
        scores = torch.softmax(scores, 1)
        surprise = highest - asked - scores.amax(1, keepdim=True).float().log()  # (part, 1)
        loss += surprise.sum()
        scores.scatter_(1, true, torch.expm1(-surprise).to(scores.dtype))  # chance - 1: now the gradient
        torch.mm(scores, rounded, out=gradients[0][start : start + size])
        gradients[1].add_(torch.mm(scores.T, part))
        gradients[2].add_(scores.sum(0, dtype=bias.dtype))
    return loss / count, hits / count, gradients


def _scores(states: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return states @ weight.T + bias; in bfloat16 the two in one call are the slower way."""
    if weight.dtype == bias.dtype:
        return torch.addmm(bias, states, weight.T)
    return torch.mm(states, weight.T).add_(bias.to(weight.dtype))
