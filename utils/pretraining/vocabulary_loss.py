"""The loss over the vocabulary with its gradients in one pass: the largest single cost of a small BERT.

Equal to `F.cross_entropy(F.linear(states, weight, bias), labels)`; the matrix of scores is overwritten
by its own gradient while it is still in the cache, and never kept. For float32 on a CPU.
"""

import torch
from torch import Tensor

SCORES = 8_000_000  # at a time: 32 MB


class VocabularyLoss(torch.autograd.Function):
    """(r, n) states, (v, n) weight, (v,) bias, (r,) labels -> the mean loss, and the number of right guesses."""

    @staticmethod
    def forward(ctx, states: Tensor, weight: Tensor, bias: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        count, size = len(labels), max(1, SCORES // len(weight))
        states_gradient = torch.empty_like(states)
        weight_gradient, bias_gradient = torch.zeros_like(weight), torch.zeros_like(bias)
        loss, hits = states.new_zeros(()), states.new_zeros(())
        for start in range(0, count, size):
            part, true = states[start : start + size], labels[start : start + size, None]
            scores = torch.addmm(bias, part, weight.T)  # (part, n) -> (part, v)
            highest = scores.amax(1, keepdim=True)
            hits += (scores.gather(1, true) == highest).sum()
            scores.sub_(highest)  # so that no exp overflows
            loss -= scores.gather(1, true).sum()
            total = scores.exp_().sum(1, keepdim=True)
            loss += total.log().sum()
            scores.mul_(1 / (total * count))  # softmax / r: the gradient, but for the true piece
            scores.scatter_add_(1, true, scores.new_full(true.shape, -1 / count))
            torch.mm(scores, weight, out=states_gradient[start : start + size])
            weight_gradient.addmm_(scores.T, part)
            bias_gradient.add_(scores.sum(0))
        ctx.save_for_backward(states_gradient, weight_gradient, bias_gradient)
        ctx.mark_non_differentiable(hits)
        return loss / count, hits / count

    @staticmethod
    def backward(ctx, gradient: Tensor, _):
        return *(gradient * saved for saved in ctx.saved_tensors), None
