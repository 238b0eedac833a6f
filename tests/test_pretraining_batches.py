"""Masking, sentence pairs, packing and the files of word pieces: statistics, exactness, bad input."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from helpers import assert_one_line, some_documents
from hypothesis import given, settings
from hypothesis import strategies as st

from utils.corpus import CorpusError
from utils.pretraining import tokens as tokens_module
from utils.pretraining.batches import FOLLOWS, OTHER, Batches, mask_tokens, pair_ids, sentence_pairs
from utils.pretraining.tokens import Block, Tokens, is_held_out

# ------------------------------------------------------------------------------------- masking


def test_masking_hits_15_80_10_10_on_a_hundred_thousand_tokens():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, 1000, (1000, 102), generator=generator)
    ids[:, 0], ids[:, -1] = 2, 3
    maskable = (ids != 2) & (ids != 3)
    before = ids.clone()
    hidden, positions, labels = mask_tokens(ids, maskable, 0.15, 1000, 4, 5, generator)
    assert torch.equal(ids, before)
    assert positions.shape == labels.shape == (1000, 15)  # 15% of 100 in each row, to the token
    assert maskable.gather(1, positions).all() and (positions.diff(dim=1) > 0).all()
    assert torch.equal(labels, ids.gather(1, positions))
    shown = hidden.gather(1, positions)
    masked, kept = (shown == 4).float().mean().item(), (shown == labels).float().mean().item()
    n = labels.numel()
    assert abs(masked - 0.8) < 4 * (0.8 * 0.2 / n) ** 0.5
    assert abs(kept - 0.1) < 4 * (0.1 * 0.9 / n) ** 0.5 + 0.1 / 995
    changed = torch.zeros_like(ids, dtype=torch.bool).scatter(1, positions, True)
    assert torch.equal(hidden[~changed], ids[~changed])
    random_ids = shown[(shown != 4) & (shown != labels)]
    assert random_ids.min() >= 5 and random_ids.max() < 1000 and len(random_ids.unique()) > 500


def test_masking_is_dynamic_and_each_place_is_equally_likely():
    ids = torch.full((20_000, 22), 7)
    maskable = torch.ones_like(ids, dtype=torch.bool)
    maskable[:, [0, 21]] = False
    positions = mask_tokens(ids, maskable, 0.15, 100, 4, 5, torch.Generator().manual_seed(1))[1]
    share = positions.flatten().bincount(minlength=22) / 20_000
    assert share[0] == share[21] == 0
    assert (share[1:21] - 0.15).abs().max() < 4 * (0.15 * 0.85 / 20_000) ** 0.5
    assert len(positions.unique(dim=0)) > 1000


# ------------------------------------------------------------------------------------- pairs


@st.composite
def blocks(draw):
    lengths = draw(st.lists(st.lists(st.integers(1, 15), min_size=1, max_size=6), min_size=8, max_size=40))
    flat = [length for document in lengths for length in document]
    starts = np.cumsum([0, *flat[:-1]])
    documents = np.repeat(np.arange(len(lengths)), [len(document) for document in lengths])
    ids = np.random.default_rng(draw(st.integers(0, 99))).integers(5, 500, sum(flat)).astype(np.uint16)
    return Block(ids, starts, documents)


@settings(max_examples=200)
@given(blocks(), st.integers(12, 40), st.integers(0, 99))
def test_half_of_the_pairs_follow_and_the_others_come_from_other_documents(block, length, seed):
    try:
        pairs = sentence_pairs(block, length, np.random.default_rng(seed))
    except CorpusError:
        return  # too little text: said in a line
    of_id = np.repeat(block.documents, np.diff(block.starts, append=len(block.ids)))
    assert (pairs.labels == FOLLOWS).sum() == (pairs.labels == OTHER).sum() > 0
    for first, width, second, label in zip(
        pairs.first, pairs.first_length, pairs.second, pairs.labels, strict=True
    ):
        assert first >= 0 and first + width <= len(block.ids) and second + length - width <= len(block.ids)
        true_next = first + width
        assert true_next in block.starts and second in block.starts  # both segments part at a sentence
        assert of_id[true_next] == of_id[true_next - 1]  # whose true next one is in the same document
        if label == FOLLOWS:
            assert second == true_next
        else:
            a = set(of_id[first : true_next + 1])
            b = set(of_id[second : second + length - width])
            assert not a & b
            assert not np.array_equal(block.ids[second : second + 6], block.ids[true_next : true_next + 6])


def test_ids_of_a_pair_are_cls_a_sep_b_sep():
    block = Block(np.arange(10, 60, dtype=np.uint16), np.arange(0, 50, 5), np.repeat(np.arange(5), 2))
    pairs = sentence_pairs(block, 12, np.random.default_rng(0))
    ids, segments = pair_ids(block, pairs, np.arange(len(pairs.first)), 2, 3)
    assert ids.shape == segments.shape == (len(pairs.first), 15)
    for row, segment, first, width, second in zip(
        ids.tolist(), segments.tolist(), pairs.first, pairs.first_length, pairs.second, strict=True
    ):
        a, b = block.ids[first : first + width], block.ids[second : second + 12 - width]
        assert row == [2, *a, 3, *b, 3]
        assert segment == [0] * (width + 2) + [1] * (12 - width + 1)


def test_one_document_has_no_other_one():
    block = Block(np.arange(200, dtype=np.uint16), np.arange(0, 200, 10), np.zeros(20, int))
    with pytest.raises(CorpusError) as error:
        sentence_pairs(block, 20, np.random.default_rng(0))
    assert_one_line(error, "one document", "--objective mlm")


# ------------------------------------------------------------------------------------- the stream


@pytest.mark.parametrize("next_sentences", [True, False])
def test_batches_are_full_repeatable_and_go_on_where_they_were(tokens, tokenizer, next_sentences):
    stream = Batches(tokens, tokenizer, next_sentences, seed=3)
    first = [stream.next(8, 32, 0.15) for _ in range(60)]  # several passes
    again = Batches(tokens, tokenizer, next_sentences, seed=3)
    for number, batch in enumerate(first):
        if number == 37:
            state, again = again.state(), Batches(tokens, tokenizer, next_sentences, seed=3)
            again.load_state(state)
        for one, two in zip(batch, again.next(8, 32, 0.15), strict=True):
            assert torch.equal(one, two)
        assert batch.input_ids.shape == (8, 32)
        assert (batch.input_ids != tokenizer.pad_token_id).all()
        assert (batch.input_ids[:, 0] == tokenizer.cls_token_id).all()
        assert (batch.input_ids == tokenizer.sep_token_id).sum(1).eq(2 if next_sentences else 1).all()
    assert stream.epoch >= 1
    if next_sentences:
        labels = torch.cat([batch.next_sentence for batch in first])
        assert abs(labels.float().mean() - 0.5) < 0.02
    assert not torch.equal(
        first[0].input_ids, Batches(tokens, tokenizer, next_sentences, 4).next(8, 32, 0.15).input_ids
    )


def test_processes_share_a_batch_without_overlap(tokens, tokenizer):
    batch = Batches(tokens, tokenizer, True, 0).next(8, 32, 0.15)
    rows = [batch.rows(rank, 2) for rank in range(2)]
    together = torch.stack([part.input_ids for part in rows], dim=1).flatten(0, 1)
    assert torch.equal(together, batch.input_ids)


# ------------------------------------------------------------------------------------- files of ids


def test_ids_on_disk_are_the_documents_and_held_out_ones_are_apart(tokens, tokenizer):
    documents = some_documents()
    for part, wanted in (("train", False), ("held_out", True)):
        block = tokens.read(0, part)
        expected = [d for d in documents if is_held_out(d) == wanted]
        bounds = [*block.starts.tolist(), len(block.ids)]
        found = [block.ids[a:b].tolist() for a, b in pairwise(bounds)]
        assert found == [tokenizer(s, add_special_tokens=False)["input_ids"] for d in expected for s in d]
        assert len(set(block.documents.tolist())) == len(expected)
        assert tokens.size(part) == len(block.ids)


def test_several_blocks_hold_the_same_as_one(tokenizer, tokens, tmp_path, monkeypatch):
    monkeypatch.setattr(tokens_module, "BLOCK", 1000)
    small = Tokens.build(some_documents(), tokenizer, tmp_path / "small", progress=False)
    assert small.blocks() > 5 and small.size() == tokens.size()
    blocks = [small.read(number) for number in range(small.blocks())]
    assert np.array_equal(np.concatenate([b.ids for b in blocks]), tokens.read(0).ids)
    assert all(b.starts[0] == 0 and len(b.ids) >= 500 for b in blocks)
    stream = Batches(small, tokenizer, True, 0)
    seen = [stream.next(8, 32, 0.15) for _ in range(100)]
    assert stream.epoch >= 1 and len(seen) == 100


def test_the_unigram_level_is_the_entropy_of_the_ids(tokens):
    share = np.bincount(tokens.read(0).ids) / tokens.size()
    share = share[share > 0]
    assert tokens.unigram_entropy() == pytest.approx(-(share * np.log(share)).sum())


@pytest.mark.parametrize("documents", [[], [[]], [["One line only."]]])
def test_too_little_text_gets_one_line(tokenizer, tmp_path, documents):
    with pytest.raises(CorpusError) as error:
        Tokens.build(documents, tokenizer, tmp_path / "tokens", progress=False)
    assert_one_line(error, "word pieces", "documents")
