"""The shop's data is neither too easy nor hopeless: what the classical baselines score on it."""

import sys

import pytest
from helpers import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import baselines

from utils import data, records


def within(name, score):
    low, high = baselines.BOUNDS[name]
    assert low <= score <= high, f"{name}: {score:.1f} is not between {low} and {high}"


def test_counting_words_finds_the_sentiment_often_but_not_always():
    within("sentiment", baselines.sentiment(None)[1])


@pytest.mark.parametrize("whole_record", [False, True])
@pytest.mark.parametrize("name", ["tickets", "tickets_random"])
def test_counting_words_finds_the_team_often_but_not_always(name, whole_record):
    within("team", baselines.team(name, whole_record))


def test_counting_words_and_nulls_does_not_find_what_falls_short():
    """No bound is set for these; but a rule that found nearly all would make a model pointless."""
    found = baselines.completeness()
    assert found["rules, natural"] < 80 and found["TF-IDF, natural"] < 80


def test_shared_words_do_not_answer_questions():
    found = baselines.handbook()
    within("handbook F1", found["f1"])
    within("handbook F1", baselines.silence()["f1"])
    assert found["has_answer_f1"] > 5  # it tries


def test_a_dictionary_does_not_find_the_entities():
    within("entities F1", baselines.entity_dictionary()["f1"])
    assert baselines.unseen_share("test") >= 20 and baselines.unseen_share("validation") >= 20


def test_a_record_becomes_one_text_with_a_mark_for_each_field():
    record = {"title": "Leaks", "order_number": None, "description": "Since May."}
    expected = "[COL] title [VAL] Leaks [COL] order_number [VAL] [COL] description [VAL] Since May."
    assert records.as_text(record, ("title", "order_number", "description")) == expected


def test_the_rule_counts_nulls_and_short_texts_and_reads_nothing():
    good = dict.fromkeys(records.FIELDS, "three words here")
    assert records.missing_score(good) == 0
    assert records.missing_score(good | {"contact": None, "title": "Two words"}) == 2
    assert records.missing_score(good | {"description": "see above, thank you"}) == 0
    assert records.missing_score(good | {"description": None}) == 1


def test_only_injected_shortfalls_are_left_out():
    rows = data.load("tickets")["test"]
    kept = baselines.natural(rows)
    assert set(kept["origin"]) == {"natural"}
    assert kept.num_rows == sum(row != "injected" for row in rows["origin"])


def test_word_by_word_is_far_from_a_translation():
    found = baselines.word_by_word("test")
    assert 30 < found["bleu"] < 60 and 0 < found["exact"] < 25
