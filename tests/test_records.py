"""A record as one text: the form, and that a long field never takes the room of a short one."""

import pytest
from helpers import VOCABULARY, assert_one_line
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertTokenizer

from utils.records import FIELDS, as_text, as_text_within, field_shares

TOKENIZER = BertTokenizer(vocab={p: i for i, p in enumerate(VOCABULARY)}, model_max_length=512)
WORDS = st.lists(st.sampled_from(["lamp", "good", "the", "red.", "🙂", "é"]), max_size=60).map(" ".join)


def pieces(text: str) -> int:
    return len(TOKENIZER(text, verbose=False)["input_ids"])


@given(st.lists(st.integers(0, 40), max_size=8), st.integers(0, 120))
def test_shares_have_one_cap_and_take_all_the_room_that_is_needed(lengths, room):
    shares = field_shares(lengths, room)
    assert all(0 <= share <= length for share, length in zip(shares, lengths, strict=True))
    assert sum(shares) <= room
    cut = [share for share, length in zip(shares, lengths, strict=True) if share < length]
    if not cut:
        return
    assert sum(shares) == room
    assert max(cut) - min(cut) <= 1 and max(shares) <= max(cut) + 1  # no whole field has more than a cut one


@given(WORDS, WORDS, st.integers(100, 220))
def test_the_text_fits_and_a_short_field_stays_whole(title, description, max_length):
    record = {"title": title, "description": description, "product": "lamp"}
    text = as_text_within(record, TOKENIZER, max_length, tuple(record))
    assert pieces(text) <= max_length
    assert text.endswith("[COL] product [VAL] lamp")
    if pieces(as_text(record, tuple(record))) <= max_length:
        assert text == as_text(record, tuple(record))


def test_null_is_a_field_without_value():
    record = dict.fromkeys(FIELDS) | {"title": "the lamp"}
    assert as_text_within(record, TOKENIZER, 400) == as_text(record)
    assert "[COL] title [VAL] the lamp [COL]" in as_text(record)


def test_too_little_room_for_the_names_is_one_line():
    with pytest.raises(ValueError) as error:
        as_text_within(dict.fromkeys(FIELDS), TOKENIZER, 20)
    assert_one_line(error, "12 fields", "of 20", "fewer fields")
