"""Muon for this hardware: torch's own on a GPU, in float32 on a CPU.

`Float32Muon` has the same rule and the same state as `torch.optim.Muon`, which it inherits; equal-shaped
matrices go through the iteration together. On a CPU it is the faster one, even where that has bfloat16.
"""

import math
from itertools import groupby

import torch
from torch import Tensor


def orthogonalized(
    matrices: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """Bring all singular values of (k, rows, columns) matrices near 1 by Newton-Schulz iterations."""
    a, b, c = coefficients
    wide = matrices.shape[-2] <= matrices.shape[-1]
    x = matrices if wide else matrices.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=eps)  # no singular value above 1
    for _ in range(steps):
        gram = x @ x.mT  # (k, r, c) -> (k, r, r), with r the shorter side
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if wide else x.mT


class Float32Muon(torch.optim.Muon):
    """Jordan et al., 2024: the momentum's orthogonalized direction, times sqrt(max(1, rows / columns))."""

    @torch.no_grad()
    def step(self, closure=None):
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            used = sorted((p for p in group["params"] if p.grad is not None), key=lambda p: tuple(p.shape))
            for shape, same in groupby(used, key=lambda p: tuple(p.shape)):
                self._step_same_shape(list(same), shape, group)
        return loss

    def _step_same_shape(self, parameters: list[Tensor], shape: tuple[int, int], group: dict) -> None:
        momentum, updates = group["momentum"], []
        for p in parameters:
            buffer = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
            buffer.lerp_(p.grad, 1 - momentum)
            updates.append(p.grad.lerp(buffer, momentum) if group["nesterov"] else buffer)
        directions = orthogonalized(
            torch.stack(updates), group["ns_coefficients"], group["ns_steps"], group["eps"]
        )
        for p, direction in zip(parameters, directions, strict=True):
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.add_(direction, alpha=-group["lr"] * math.sqrt(max(1, shape[0] / shape[1])))


def muon_for(matrices: list[Tensor], rate: float, weight_decay: float) -> torch.optim.Muon:
    """Return the Muon that is the faster one where `matrices` are."""
    kind = Float32Muon if matrices[0].device.type == "cpu" else torch.optim.Muon
    return kind(matrices, lr=rate, weight_decay=weight_decay)
