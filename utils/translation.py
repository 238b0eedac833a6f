"""An encoder-decoder that translates, written out (Vaswani et al., 2017), small enough to train in a minute.

The encoder is BERT's block, the decoder has cross-attention between its two parts. Not for a decoder
alone (`decoder`).
Shapes: b sentences, s source and t target tokens, n the hidden size, v the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from utils.attention import MultiHeadAttention, causal_mask, padding_mask
from utils.bert import Block, Config, initialize

PAD, START, END = 0, 1, 2


@dataclass(frozen=True)
class TranslatorConfig:
    """The sizes of both halves; one vocabulary for both languages."""

    vocab_size: int
    hidden_size: int = 128
    layers: int = 2
    heads: int = 4
    context: int = 48
    dropout: float = 0.1

    def block(self) -> Config:
        """The same sizes by the names that BERT's block reads."""
        return Config(
            vocab_size=self.vocab_size,
            hidden_size=self.hidden_size,
            num_attention_heads=self.heads,
            intermediate_size=4 * self.hidden_size,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
        )


class TargetBlock(nn.Module):
    """Causal self-attention, cross-attention to the source, feed-forward, each with add & norm."""

    def __init__(self, config: TranslatorConfig):
        super().__init__()
        self.self_attention = MultiHeadAttention(config.hidden_size, config.heads, config.dropout)
        self.self_norm = nn.LayerNorm(config.hidden_size)
        self.cross_attention = MultiHeadAttention(config.hidden_size, config.heads, config.dropout)
        self.cross_norm = nn.LayerNorm(config.hidden_size)
        self.expand = nn.Linear(config.hidden_size, 4 * config.hidden_size)
        self.contract = nn.Linear(4 * config.hidden_size, config.hidden_size)
        self.feed_forward_norm = nn.LayerNorm(config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, states: Tensor, mask: Tensor, source: Tensor, source_mask: Tensor) -> Tensor:
        """(b, t, n) with what it may see of itself (t, t), the source (b, s, n), its mask (b, 1, 1, s)."""
        states = self.among_themselves(states, mask)
        crossed = self.cross_attention(states, source_mask, source)  # queries: target; keys, values: source
        states = self.cross_norm(states + self.dropout(crossed))
        inner = F.gelu(self.expand(states))
        return self.feed_forward_norm(states + self.dropout(self.contract(inner)))

    def among_themselves(self, states: Tensor, mask: Tensor) -> Tensor:
        """The first part, before the source is looked at: (b, t, n) -> (b, t, n)."""
        return self.self_norm(states + self.dropout(self.self_attention(states, mask)))


class Translator(nn.Module):
    """Scores of the next target token from the source and the target so far: -> (b, t, v)."""

    def __init__(self, config: TranslatorConfig):
        super().__init__()
        self.config = config
        self.words = nn.Embedding(config.vocab_size, config.hidden_size, padding_idx=PAD)
        self.positions = nn.Embedding(config.context, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.encoder = nn.ModuleList(Block(config.block()) for _ in range(config.layers))
        self.decoder = nn.ModuleList(TargetBlock(config) for _ in range(config.layers))
        self.apply(initialize)

    def forward(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        """`target_ids` (b, t) are the right tokens so far, START first: teacher forcing."""
        return self.decode(target_ids, *self.encode(source_ids))

    def encode(self, source_ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return the source's states (b, s, n) and its padding mask (b, 1, 1, s)."""
        mask = padding_mask((source_ids != PAD).long())
        states = self.embed(source_ids)
        for block in self.encoder:
            states = block(states, mask)
        return states, mask

    def decode(self, target_ids: Tensor, source: Tensor, source_mask: Tensor) -> Tensor:
        """Return the logits (b, t, v) after each target token."""
        states, mask = self.embed(target_ids), causal_mask(target_ids.shape[1], target_ids.device)
        for block in self.decoder:
            states = block(states, mask, source, source_mask)
        return states @ self.words.weight.T  # tied

    def embed(self, ids: Tensor) -> Tensor:
        if ids.shape[1] > self.config.context:
            raise ValueError(
                f"expected at most {self.config.context} tokens, got {ids.shape[1]}: shorten the text."
            )
        places = torch.arange(ids.shape[1], device=ids.device)
        return self.dropout(self.norm(self.words(ids) + self.positions(places)))

    @torch.inference_mode()
    def cross_weights(self, source_ids: Tensor, target_ids: Tensor) -> Tensor:
        """Return to which source tokens each target token of the last block attends: (b, h, t, s)."""
        source, source_mask = self.encode(source_ids)
        states, mask = self.embed(target_ids), causal_mask(target_ids.shape[1], target_ids.device)
        for block in self.decoder[:-1]:
            states = block(states, mask, source, source_mask)
        last = self.decoder[-1]
        return last.cross_attention.weights(last.among_themselves(states, mask), source_mask, source)


def batch(pairs: Sequence[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor, Tensor]:
    """Pad pairs of ids to source (b, s), target (b, t) that begins with START, and what should follow (b, t)."""
    source = pad_sequence([torch.tensor(one) for one, _ in pairs], batch_first=True, padding_value=PAD)
    target = pad_sequence(
        [torch.tensor([START, *two]) for _, two in pairs], batch_first=True, padding_value=PAD
    )
    expected = pad_sequence(
        [torch.tensor([*two, END]) for _, two in pairs], batch_first=True, padding_value=PAD
    )
    return source, target, expected


def loss(logits: Tensor, expected: Tensor, smoothing: float = 0.0) -> Tensor:
    """Mean of -ln p(expected token), nats, without padding; label smoothing as in Vaswani et al. (5.4)."""
    return F.cross_entropy(
        logits.flatten(0, 1), expected.flatten(), ignore_index=PAD, label_smoothing=smoothing
    )


@torch.inference_mode()
def translate(model: Translator, source_ids: Tensor, longest: int | None = None) -> list[list[int]]:
    """Return the likeliest next token, step by step, until END: a list of ids for each source (b, s)."""
    training = model.training
    model.eval()
    source, source_mask = model.encode(source_ids)
    target = torch.full((len(source_ids), 1), START, device=source_ids.device)
    for _ in range(min(longest or model.config.context, model.config.context) - 1):
        following = model.decode(target, source, source_mask)[:, -1].argmax(-1)
        target = torch.cat([target, following[:, None]], dim=1)
        if (target == END).any(1).all():
            break
    model.train(training)
    return [_until_end(row[1:]) for row in target.tolist()]


def _until_end(ids: list[int]) -> list[int]:
    return ids[: ids.index(END)] if END in ids else ids
