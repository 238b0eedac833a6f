"""Batches for BERT's two tasks (Devlin et al., 2019, section 3.1): masked tokens and sentence pairs.

Each sequence is filled to the last place, so there is no padding. Shapes: b sequences, s tokens in
each, m masked tokens in each. Not for reading text (`corpus`) or files of ids (`tokens`).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from utils.corpus import CorpusError
from utils.pretraining.tokens import Block, Tokens

FOLLOWS, OTHER = 0, 1  # NSP: B follows A; B comes from another document
NO_LABEL = -100  # MLM: this token is not to be guessed


class Batch(NamedTuple):
    """What one step learns from."""

    input_ids: Tensor  # (b, s) with [MASK] and random word pieces in place
    token_type_ids: Tensor  # (b, s) 0 for [CLS] A [SEP], 1 for B [SEP]
    positions: Tensor  # (b, m) where the guesses are asked
    labels: Tensor  # (b, m) the word pieces that stood there
    next_sentence: Tensor  # (b,) FOLLOWS or OTHER

    def rows(self, rank: int, world: int) -> "Batch":
        """Return the rows of one of `world` processes, which share the batch."""
        return Batch(*(tensor[rank::world] for tensor in self))

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in self))


def mask_tokens(
    input_ids: Tensor,
    maskable: Tensor,
    rate: float,
    vocab_size: int,
    mask_id: int,
    first_id: int,
    generator=None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Choose tokens to be guessed and hide them: 80% by [MASK], 10% by a random piece, 10% not at all.

    Devlin et al., 2019, section 3.1 and appendix A.1. In each sequence the same number of tokens is
    chosen, the nearest to `rate` of the maskable ones.

    Args:
        input_ids: (b, s) word pieces; left as it is.
        maskable: (b, s) False for [CLS], [SEP] and padding; as many True in each row as in the first.
        first_id: random pieces are drawn from this id on (below it are the special ones).

    Returns:
        Hidden ids (b, s), positions (b, m) in rising order, labels (b, m): the true pieces there.
    """
    m = max(1, round(rate * int(maskable[0].sum())))
    lots = torch.rand(input_ids.shape, generator=generator).masked_fill(~maskable, -1.0)
    positions = lots.topk(m, dim=1).indices.sort(dim=1).values  # (b, s) -> (b, m)
    labels = input_ids.gather(1, positions)
    fate = torch.rand(labels.shape, generator=generator)
    random_ids = torch.randint(first_id, vocab_size, labels.shape, generator=generator)
    shown = torch.where(fate < 0.8, mask_id, torch.where(fate < 0.9, random_ids, labels))
    return input_ids.scatter(1, positions, shown), positions, labels


@dataclass(frozen=True)
class Pairs:
    """Where the segments of n sequences lie in a block; segment A ends and B starts at a sentence."""

    length: int  # of A and B together
    first: np.ndarray  # (n,) index of A's first id
    first_length: np.ndarray  # (n,) ids in A
    second: np.ndarray  # (n,) index of B's first id
    labels: np.ndarray  # (n,)


def sentence_pairs(block: Block, length: int, generator: np.random.Generator) -> Pairs:
    """Part a block into pairs of segments of together `length` ids; in half of them B follows A.

    Windows tile the block from a random start. In each, the sentence start nearest to the middle that
    is not the start of a document parts A from B. For the other half, B is the B of another window,
    of which no document is in A, and which does not open like the true one: never a false negative.

    Raises:
        CorpusError: no document with two sentences, or no two documents.
    """
    inside = np.flatnonzero(np.diff(block.documents, prepend=block.documents[:1] - 1) == 0)
    borders = block.starts[inside]
    if len(block.ids) < length or not len(borders):
        raise CorpusError(
            "no document has two sentences and the text is short: use --objective mlm, or more text."
        )
    offset = int(generator.integers(0, min(length, len(block.ids) - length + 1)))
    corners = np.arange(offset, len(block.ids) - length + 1, length)
    after = (
        np.searchsorted(borders, corners + length // 2).clip(1, len(borders) - 1) if len(borders) > 1 else 0
    )
    nearer = np.abs(borders[after - 1] - corners - length // 2) < np.abs(
        borders[after] - corners - length // 2
    )
    second = borders[after - nearer]
    first_length = (second - corners).clip(length // 4, length - length // 4)
    fits = (second >= first_length) & (second + length - first_length <= len(block.ids))
    second, first_length = second[fits], first_length[fits]
    order = generator.permutation(len(second))
    second, first_length = second[order], first_length[order]
    return _with_others(block, length, second, first_length, generator)


def _with_others(
    block: Block, length: int, follows: np.ndarray, first_length: np.ndarray, generator
) -> Pairs:
    first = follows - first_length
    document = np.repeat(block.documents, np.diff(block.starts, append=len(block.ids)))  # of each id
    second, wanted = follows.copy(), np.arange(len(follows)) % 2 == OTHER
    open_ = np.flatnonzero(wanted)
    for _ in range(50):
        if not len(open_):
            break
        drawn = follows[generator.integers(0, len(follows), len(open_))]
        last = drawn + length - first_length[open_] - 1
        good = last < len(block.ids)
        apart = (document[drawn] > document[follows[open_]]) | (
            document[last.clip(max=len(block.ids) - 1)] < document[first[open_]]
        )
        good &= apart & (_openings(block, drawn) != _openings(block, follows[open_])).any(1)
        second[open_[good]] = drawn[good]
        open_ = open_[~good]
    keep = np.ones(len(follows), bool)
    keep[open_] = False  # no partner was found: drop these, and as many of the others
    keep[np.flatnonzero(~wanted)[: len(open_)]] = False
    if len(follows) % 2:
        keep[-1] = False
    if not keep.any():
        raise CorpusError(
            "NSP needs sentences of other documents, and there is one document: use --objective mlm."
        )
    return Pairs(length, first[keep], first_length[keep], second[keep], wanted[keep].astype(np.int64))


def _openings(block: Block, starts: np.ndarray, width: int = 6) -> np.ndarray:
    return block.ids[(starts[:, None] + np.arange(width)).clip(max=len(block.ids) - 1)]


def pair_ids(block: Block, pairs: Pairs, rows: np.ndarray, cls_id: int, sep_id: int) -> tuple[Tensor, Tensor]:
    """Return ids (b, s) as [CLS] A [SEP] B [SEP] and segments (b, s), with s = length + 3."""
    place = np.arange(pairs.length + 3)[None]  # (1, s)
    a = pairs.first_length[rows, None]  # (b, 1): [SEP] stands at a + 1
    source = np.where(
        place <= a, pairs.first[rows, None] + place - 1, pairs.second[rows, None] + place - a - 2
    )
    ids = block.ids[source.clip(0, len(block.ids) - 1)].astype(np.int64)
    ids[:, 0], ids[:, -1] = cls_id, sep_id
    ids[np.arange(len(rows)), a[:, 0] + 1] = sep_id
    return torch.from_numpy(ids), torch.from_numpy((place > a + 1).astype(np.int64))


def text_windows(block: Block, length: int, generator: np.random.Generator) -> np.ndarray:
    """Return the first ids (n,) of windows of `length` ids that tile the block, in random order."""
    if len(block.ids) < length:
        raise CorpusError(f"the text has {len(block.ids)} word pieces, a sequence {length}: give more text.")
    offset = int(generator.integers(0, min(length, len(block.ids) - length + 1)))
    return generator.permutation(np.arange(offset, len(block.ids) - length + 1, length))


class Batches:
    """An endless stream of batches; the same seed and the same calls give the same batches."""

    def __init__(self, tokens: Tokens, tokenizer, next_sentences: bool, seed: int, part: str = "train"):
        self.tokens, self.next_sentences, self.seed, self.part = tokens, next_sentences, seed, part
        self.cls_id, self.sep_id, self.mask_id = (
            tokenizer.cls_token_id,
            tokenizer.sep_token_id,
            tokenizer.mask_token_id,
        )
        self.first_id, self.vocab_size = max(tokenizer.all_special_ids) + 1, len(tokenizer)
        self.epoch, self.turn, self.row, self.drawn, self.length = 0, 0, 0, 0, 0
        self._open = None

    def state(self) -> dict:
        """Return the place in the stream, for a checkpoint."""
        return {
            "epoch": self.epoch,
            "turn": self.turn,
            "row": self.row,
            "drawn": self.drawn,
            "length": self.length,
        }

    def load_state(self, state: dict) -> None:
        self.__dict__.update(state)
        self._open = None

    def next(self, sequences: int, length: int, mask_rate: float) -> Batch:
        """Return a batch of `sequences` sequences of `length` tokens, special ones counted in."""
        if length != self.length:
            self.length, self.row, self._open = length, 0, None
        ids, segments, labels = self._rows(sequences)
        maskable = (ids != self.cls_id) & (ids != self.sep_id)
        generator = torch.Generator().manual_seed(hash((self.seed, self.drawn)) & 0x7FFFFFFF)
        self.drawn += 1
        hidden, positions, true = mask_tokens(
            ids, maskable, mask_rate, self.vocab_size, self.mask_id, self.first_id, generator
        )
        return Batch(hidden, segments, positions, true, labels)

    def _rows(self, sequences: int) -> tuple[Tensor, Tensor, Tensor]:
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        while (missing := sequences - sum(len(part[0]) for part in parts)) > 0:
            block, plan, count = self._opened()
            rows = np.arange(self.row, min(self.row + missing, count))
            self.row += len(rows)
            if len(rows):
                parts.append(self._cut(block, plan, rows))
            if self.row >= count:
                self._turn_over()
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))

    def _cut(self, block: Block, plan, rows: np.ndarray) -> tuple[Tensor, Tensor, Tensor]:
        if self.next_sentences:
            ids, segments = pair_ids(block, plan, rows, self.cls_id, self.sep_id)
            return ids, segments, torch.from_numpy(plan.labels[rows])
        ids = block.ids[plan[rows, None] + np.arange(self.length - 2)].astype(np.int64)
        ids = np.pad(ids, ((0, 0), (1, 1)), constant_values=((0, 0), (self.cls_id, self.sep_id)))
        return (
            torch.from_numpy(ids),
            torch.zeros(ids.shape, dtype=torch.int64),
            torch.zeros(len(ids), dtype=torch.int64),
        )

    def _opened(self):
        """Return the block in turn, its plan of sequences, and how many there are."""
        if self._open is None:
            blocks = np.random.default_rng((self.seed, self.epoch)).permutation(self.tokens.blocks(self.part))
            block = self.tokens.read(int(blocks[self.turn]), self.part)
            generator = np.random.default_rng((self.seed, self.epoch, self.turn))
            if self.next_sentences:
                plan = sentence_pairs(block, self.length - 3, generator)
                self._open = block, plan, len(plan.first)
            else:
                plan = text_windows(block, self.length - 2, generator)
                self._open = block, plan, len(plan)
        return self._open

    def _turn_over(self) -> None:
        self._open, self.row, self.turn = None, 0, self.turn + 1
        if self.turn == self.tokens.blocks(self.part):
            self.turn, self.epoch = 0, self.epoch + 1
