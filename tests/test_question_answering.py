"""Question answering: the scores against SQuAD's definition, case by case, and the baseline."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.question_answering import (
    evaluate,
    exact_match,
    most_shared_words,
    normalize,
    question_scores,
    token_f1,
)


def row(name, *answers):
    return {"id": name, "answers": {"text": list(answers), "answer_start": [0] * len(answers)}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The  Cat!", "cat"),
        ("a.b", "ab"),  # punctuation goes without leaving a blank
        ("an apple, the pie", "apple pie"),
        ("theatre another", "theatre another"),  # articles are whole words
        ("A", ""),
        ("45\u00a0days\tor so\n", "45 days or so"),
        ("“quoted”", "“quoted”"),  # only ASCII punctuation
        ("the-end", "theend"),
    ],
)
def test_normalize(text, expected):
    assert normalize(text) == expected


def test_f1_counts_words_as_often_as_both_have_them():
    assert token_f1("red red lamp", "red lamp lamp") == pytest.approx(2 / 3)
    assert token_f1("within 45 days", "45 days") == pytest.approx(0.8)
    assert token_f1("never", "45 days") == 0


@pytest.mark.parametrize(
    ("one", "other", "expected"), [("", "", 1), ("the", "", 1), ("lamp", "", 0), ("", "lamp", 0)]
)
def test_silence_is_right_or_wrong_and_nothing_between(one, other, expected):
    assert token_f1(one, other) == exact_match(one, other) == expected


def test_the_best_reference_counts_for_each_metric():
    result = evaluate({"q": "within 45 days"}, [row("q", "45 days", "within 45 days of delivery")])
    assert result["exact_match"] == 0
    assert result["f1"] == pytest.approx(100 * max(4 / 5, 6 / 8))


def test_questions_without_an_answer_are_scored_apart():
    result = evaluate({"a": "lamp", "b": "", "c": "lamp"}, [row("a", "the lamp"), row("b"), row("c")])
    assert result == {
        "total": 3,
        "exact_match": pytest.approx(200 / 3),
        "f1": pytest.approx(200 / 3),
        "has_answer_total": 1,
        "has_answer_exact_match": 100,
        "has_answer_f1": 100,
        "no_answer_total": 2,
        "no_answer_exact_match": 50,
        "no_answer_f1": 50,
    }


def test_a_reference_that_is_only_an_article_does_not_count():
    assert evaluate({"q": "lamp"}, [row("q", "the", "lamp")])["f1"] == 100
    assert evaluate({"q": ""}, [row("q", "the", "lamp")])["f1"] == 0
    assert evaluate({"q": ""}, [row("q", "the")])["f1"] == 100


def test_squad_json_and_rows_give_the_same():
    question = {
        "id": "q",
        "question": "?",
        "answers": [{"text": "lamp", "answer_start": 0}],
        "is_impossible": False,
    }
    article = {"title": "t", "paragraphs": [{"context": "lamp", "qas": [question]}]}
    as_json = {"version": "v2.0", "data": [article]}
    assert evaluate({"q": "a lamp"}, as_json) == evaluate({"q": "a lamp"}, [row("q", "lamp")])


def test_a_question_without_a_prediction_is_named_and_nothing_is_no_score():
    with pytest.raises(ValueError, match="'q2' has no prediction"):
        evaluate({"q1": ""}, [row("q1"), row("q2")])
    with pytest.raises(ValueError, match="no question"):
        evaluate({}, [])


@given(st.text(), st.text())
def test_scores_are_symmetric_and_bounded(one, other):
    assert 0 <= exact_match(one, other) <= token_f1(one, other) <= 1
    assert token_f1(one, other) == token_f1(other, one)
    assert token_f1(one, one) == exact_match(one, one) == 1


def test_the_baseline_answers_from_the_sentence_that_shares_most_and_is_silent_without_any():
    context = "The kettle is white. Its lid has a steel hinge that lasts ten years. It ships on Monday."
    assert most_shared_words("How long does the hinge of the lid last?", context) in context
    assert "hinge" in context and "ten years" in most_shared_words(
        "What of the lid and the hinge?", context, 8
    )
    assert most_shared_words("Warum?", context) == ""
    assert most_shared_words("kettle", "A kettle") == "A kettle"


# ------------------------------------------------------------------------------- null scores, threshold

FOUR = [row("a", "lamp"), row("b", "chair"), row("c"), row("d")]
SAID = {"a": "lamp", "b": "chair red", "c": "lamp", "d": ""}


def test_null_scores_above_the_threshold_silence_a_prediction():
    nulls = {"a": -3.0, "b": 2.0, "c": 1.5, "d": 9.0}
    silenced = {"a": "lamp", "b": "", "c": "", "d": ""}
    result = evaluate(SAID, FOUR, nulls, threshold=1.0)
    assert result.items() >= evaluate(silenced, FOUR).items()
    assert evaluate(SAID, FOUR, nulls, threshold=2.0)["f1"] == pytest.approx(100 * (1 + 2 / 3 + 1) / 4)


def test_the_best_threshold_is_the_null_score_of_the_last_question_that_should_speak():
    result = evaluate(SAID, FOUR, {"b": 0.5, "c": 1.5, "a": -3.0, "d": 9.0, "of no question": 0.0})
    best = {name: value for name, value in result.items() if name.startswith("best")}
    assert best == {
        "best_exact_match": 75,
        "best_exact_match_threshold": -3.0,
        "best_f1": pytest.approx(100 * (2 + 1 + 2 / 3) / 4),
        "best_f1_threshold": 0.5,
    }


def test_the_oddities_of_the_official_sweep_are_kept():
    torn = evaluate({"a": "lamp", "c": "lamp"}, [row("a", "lamp"), row("c")], {"a": 1.0, "c": 1.0})
    assert (torn["best_f1"], torn["best_f1_threshold"]) == (100, 1.0)  # no threshold can reach it
    silent = evaluate({"c": "lamp"}, [row("c")], {"c": -5.0})
    assert (silent["best_f1"], silent["best_f1_threshold"]) == (100, 0.0)  # at 0 the question speaks


TEXTS = st.sampled_from(["lamp", "the chair", "chair lamp", ""])


@given(st.lists(st.tuples(TEXTS, st.lists(TEXTS, max_size=2)), min_size=1, max_size=9), st.randoms())
def test_no_threshold_beats_the_best_and_the_best_is_reached(cases, random):
    nulls = {str(i): float(place) for i, place in enumerate(random.sample(range(20), len(cases)))}
    said = {str(i): text for i, (text, _) in enumerate(cases)}
    # SQuAD has no reference that is empty.
    rows = [row(str(i), *filter(None, answers)) for i, (_, answers) in enumerate(cases)]
    each = {t: evaluate(said, rows, nulls, t) for t in [-1.0, *nulls.values()]}
    for metric in ("exact_match", "f1"):
        best = each[-1.0][f"best_{metric}"]
        assert best == pytest.approx(max(result[metric] for result in each.values()))
        if best > each[-1.0][metric]:
            assert each[each[-1.0][f"best_{metric}_threshold"]][metric] == pytest.approx(best)


def test_a_question_without_a_null_score_is_named():
    with pytest.raises(ValueError, match="'b' has no null score"):
        evaluate(SAID, FOUR, {"a": 0.0, "c": 0.0, "d": 0.0})


def test_single_questions_can_be_looked_at():
    assert question_scores(SAID, FOUR[:3]) == {
        "a": {"has_answer": True, "exact_match": 1, "f1": 1},
        "b": {"has_answer": True, "exact_match": 0, "f1": pytest.approx(2 / 3)},
        "c": {"has_answer": False, "exact_match": 0, "f1": 0},
    }
