"""The loss over the vocabulary with its gradients in one pass: the largest single cost of a small BERT.

Equal to `F.cross_entropy(F.linear(states, weight, bias), labels)`; the scores of a part of the rows are
turned into their own gradient while they are still in the cache, and never kept. For CPUs.
"""

import torch
from torch import Tensor

MEMORY = 8_000_000  # bytes of scores at a time, so that the memory of one part serves the next


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
    count, size = len(labels), max(1, MEMORY // (len(weight) * states.element_size()))
    rounded, offsets = weight.to(states.dtype), bias.to(states.dtype)
    memory = states.new_empty(min(size, count), len(weight))
    gradients = torch.empty_like(states), torch.zeros_like(weight), torch.zeros_like(bias)
    loss, hits = bias.new_zeros(()), bias.new_zeros(())
    for start in range(0, count, size):
        part = states[start : start + size]
        there = torch.arange(len(part)), labels[start : start + size]  # the true pieces' places
        scores = torch.mm(part, rounded.T, out=memory[: len(part)]).add_(offsets)  # (part, n) -> (part, v)
        highest, asked = scores.amax(1).float(), scores[there].float()  # (part,)
        hits += (asked == highest).sum()
        chances = torch.softmax(scores, 1, out=scores)  # in place: fresh memory costs more than the sum
        surprise = highest - asked - chances.amax(1).float().log()  # (part,): log of the sum, less the asked
        loss += surprise.sum()
        chances[there] = torch.expm1(-surprise).to(chances.dtype)  # chance - 1: now the scores' gradient
        torch.mm(chances, rounded, out=gradients[0][start : start + size])
        gradients[1].add_(torch.mm(chances.T, part))
        gradients[2].add_(chances.sum(0))
    return loss / count, hits / count, gradients
