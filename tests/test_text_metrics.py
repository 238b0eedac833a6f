"""Perplexity, BLEU and ROUGE by hand equal the definitions and a library's numbers."""

import math

import pytest
from helpers import assert_one_line
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics.functional.text import bleu_score, rouge_score

from utils.text_metrics import bleu, longest_common, perplexity, rouge_l, rouge_n

SENTENCES = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=1, max_size=9)
PAIRS = st.lists(st.tuples(SENTENCES, SENTENCES), min_size=1, max_size=5)


@given(PAIRS, st.integers(1, 4))
def test_bleu_is_the_librarys(pairs, longest):
    found, wanted = [" ".join(one) for one, _ in pairs], [[" ".join(two)] for _, two in pairs]
    theirs = 100 * bleu_score(found, wanted, n_gram=longest).item()
    assert bleu(*zip(*pairs, strict=True), longest) == pytest.approx(theirs, abs=1e-3)


@given(SENTENCES, SENTENCES)
def test_rouge_is_the_librarys(one, two):
    keys = ("rouge1", "rouge2", "rougeL")
    theirs = rouge_score(" ".join(one), " ".join(two), rouge_keys=keys)
    ours = (rouge_n(one, two, 1), rouge_n(one, two, 2), rouge_l(one, two))
    for key, value in zip(keys, ours, strict=True):
        assert value == pytest.approx(theirs[f"{key}_fmeasure"].item(), abs=1e-5)


def test_by_hand():
    assert perplexity([math.log(4)] * 3) == pytest.approx(4)
    hypothesis, reference = (
        ["the", "cat", "sat", "on", "the", "mat"],
        ["the", "cat", "is", "on", "the", "mat"],
    )
    assert bleu([hypothesis], [reference], 2) == pytest.approx(100 * math.sqrt(5 / 6 * 3 / 5))
    assert bleu([["the", "the"]], [["the", "cat"]], 1) == pytest.approx(50)  # clipped
    assert bleu([["the"]], [["the", "cat"]], 1) == pytest.approx(100 * math.exp(-1))  # too short
    assert (
        rouge_n(hypothesis, reference, 1) == pytest.approx(5 / 6) and longest_common("abcbdab", "bdcaba") == 4
    )
    with pytest.raises(ValueError) as error:
        bleu([["a"]], [])
    assert_one_line(error, "1 texts", "0 references")
