"""Attention, written out: dot products, masks, several heads, and attention to another sequence.

Notebook 02 builds each part in front of you; this is what it ends with. Not for whole models (`bert`).
Shapes: b texts, h heads, q queries, k keys, d numbers a head. A mask is True where a key may be seen.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def scaled_dot_product(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None):
    """Return (output, weights) of softmax(QKᵀ / √d) V (Vaswani et al., 2017, section 3.2.1).

    Args:
        query: (..., q, d); key: (..., k, d); value: (..., k, v).
        mask: bool, broadcastable to (..., q, k), True where a query may see a key; None: everywhere.

    Returns:
        output (..., q, v) and weights (..., q, k). Each row of weights sums to 1, and a masked key has
        exactly 0. A query that may see no key at all gets weights and output 0, never NaN.

    Raises:
        ValueError: shapes that do not fit, or a mask that is not bool.
    """
    check(query, key, value, mask)
    scores = (
        query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    )  # (..., q, d) @ (..., d, k) -> (..., q, k)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)  # exp(-inf) = 0
    weights = torch.softmax(scores, dim=-1)  # over the keys
    if mask is not None:
        weights = weights.masked_fill(~mask, 0.0)  # changes only rows without any key: softmax made them NaN
    return weights @ value, weights  # (..., q, k) @ (..., k, v) -> (..., q, v)


def fused(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float) -> Tensor:
    """Return the output of `scaled_dot_product`, by PyTorch's fused form, with dropout on the weights.

    In bfloat16 on a CPU the gradients of that form take some twenty times as long as in float32
    (torch 2.13), so there it computes in float32.
    """
    if query.device.type == "cpu" and query.dtype == torch.bfloat16:
        with torch.autocast("cpu", enabled=False):
            return fused(query.float(), key.float(), value.float(), mask, dropout).to(query.dtype)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)


def padding_mask(attention_mask: Tensor) -> Tensor:
    """Turn the tokenizer's (b, k) of 1 for a token and 0 for padding into a mask (b, 1, 1, k).

    Raises:
        ValueError: another number of axes, or values other than 0 and 1.
    """
    if attention_mask.dim() != 2:
        raise ValueError(
            f"expected an attention mask of shape (batch, keys), got {tuple(attention_mask.shape)}."
        )
    if attention_mask.dtype != torch.bool and not ((attention_mask == 0) | (attention_mask == 1)).all():
        raise ValueError(
            f"expected an attention mask of 0 and 1, got {attention_mask.dtype} with other values."
        )
    return attention_mask.bool()[
        :, None, None, :
    ]  # (b, k) -> (b, 1, 1, k): the same for all heads and queries


def causal_mask(length: int, device: torch.device | None = None) -> Tensor:
    """Return the mask (length, length) with which position i sees the positions 0 to i."""
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


class MultiHeadAttention(nn.Module):
    """Several attentions side by side, each on its own slice of the projections, then mixed by `output`.

    Vaswani et al. (2017), section 3.2.2. With `context` the keys and values come from there (cross-attention).
    """

    def __init__(self, hidden_size: int, heads: int, dropout: float = 0.0):
        super().__init__()
        if heads < 1 or hidden_size % heads:
            raise ValueError(f"expected a hidden size that {heads} heads divide evenly, got {hidden_size}.")
        self.heads, self.dropout = heads, dropout
        self.query = nn.Linear(hidden_size, hidden_size)
        self.key = nn.Linear(hidden_size, hidden_size)
        self.value = nn.Linear(hidden_size, hidden_size)
        self.output = nn.Linear(hidden_size, hidden_size)

    def forward(
        self, hidden_states: Tensor, mask: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        """(b, q, hidden) -> (b, q, hidden), by PyTorch's fused form of `scaled_dot_product`."""
        query, key, value = self.project(hidden_states, context)
        check(query, key, value, mask)
        dropout = self.dropout if self.training else 0.0
        return self.output(join_heads(fused(query, key, value, mask, dropout)))

    def weights(
        self, hidden_states: Tensor, mask: Tensor | None = None, context: Tensor | None = None
    ) -> Tensor:
        """Return who attends to whom: (b, h, q, k). The fused form does not keep it, so it is computed anew."""
        query, key, value = self.project(hidden_states, context)
        return scaled_dot_product(query, key, value, mask)[1]

    def project(self, hidden_states: Tensor, context: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Return query (b, h, q, d), key and value (b, h, k, d)."""
        hidden_size = self.query.in_features
        source = hidden_states if context is None else context
        for states in (hidden_states, source):
            if states.dim() != 3 or states.shape[-1] != hidden_size:
                raise ValueError(
                    f"expected states of shape (batch, length, {hidden_size}), got {tuple(states.shape)}."
                )
        return (
            split_heads(self.query(hidden_states), self.heads),
            split_heads(self.key(source), self.heads),
            split_heads(self.value(source), self.heads),
        )


def split_heads(states: Tensor, heads: int) -> Tensor:
    """Cut the last axis into heads: (b, length, h·d) -> (b, h, length, d)."""
    return states.unflatten(-1, (heads, -1)).transpose(1, 2)  # (b, l, h·d) -> (b, l, h, d) -> (b, h, l, d)


def join_heads(states: Tensor) -> Tensor:
    """Lay the heads side by side again: (b, h, length, d) -> (b, length, h·d)."""
    return states.transpose(1, 2).flatten(-2)  # (b, h, l, d) -> (b, l, h, d) -> (b, l, h·d)


def check(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
    """Raise ValueError, with the shapes, where attention would fail or, worse, broadcast to nonsense."""
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(
            f"expected keys of width {query.shape[-1]} as the queries have, got {key.shape[-1]}."
        )
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(f"expected one value for each of the {key.shape[-2]} keys, got {value.shape[-2]}.")
    if mask is None:
        return
    if mask.dtype != torch.bool:
        raise ValueError(f"expected a mask of bool, True where a key may be seen, got {mask.dtype}.")
    wanted = (*query.shape[:-1], key.shape[-2])
    try:
        fits = torch.broadcast_shapes(mask.shape, wanted) == wanted
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(f"expected a mask that fits (…, queries, keys) = {wanted}, got {tuple(mask.shape)}.")
