"""Answers as spans: windows and targets token by token, the loss and the search against brute force, Unicode."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import VOCABULARY, assert_one_line
from hypothesis import assume, given
from hypothesis import strategies as st
from transformers import BertTokenizer

from utils import finetuning, models, reader
from utils.answer_spans import Answer, Candidate, choose_threshold, decode, encode, span_loss
from utils.finetuning import Recipe
from utils.question_answering import evaluate
from utils.reader import predict

TINY = Recipe(epochs=12, batch_size=4, learning_rate=3e-3, head_learning_rate=1e-2, max_length=32)
CONTEXT = "the lamp is very good . the chair is not bad"  # 10 word pieces with "is" as i ##s: 13
TOKENIZER = BertTokenizer(vocab={p: i for i, p in enumerate(VOCABULARY)}, model_max_length=64)
# Letters that the tokenizer knows, changes and drops: marks, joiners, emoji, Hebrew, Hangul, blanks.
UNICODE = st.text(
    alphabet="ab.🙂👩💻☕1\u200d\ufe0f\u20e3\u0301\u0323é한שלान्ẞİﬁ½ \t\n\u00a0\u200b\x00\ufffd中",
    min_size=1,
    max_size=40,
)


def question(context=CONTEXT, answer=None, start=None, name="q", asked="lamp ?"):
    start = context.index(answer) if answer and start is None else start
    answers = {"text": [answer] if answer else [], "answer_start": [start] if answer else []}
    return {"id": name, "question": asked, "context": context, "answers": answers}


def encode_one(max_length=12, stride=2, tokenizer=TOKENIZER, **fields):
    return encode(tokenizer, [question(**fields)], max_length, stride)


def pieces(row) -> list[str]:
    return TOKENIZER.convert_ids_to_tokens(row["input_ids"])


def context_pieces(context):
    return TOKENIZER(context, add_special_tokens=False)["input_ids"]


def inside(row) -> slice:
    return slice(row["first"], row["first"] + len(row["offsets"]))


def at_targets(rows) -> list[np.ndarray]:
    """The logits of a model that is sure of the targets."""
    logits = [np.full((2, len(row["input_ids"])), -9.0) for row in rows]
    for row, pair in zip(rows, logits, strict=True):
        pair[0, row["start_positions"]] = pair[1, row["end_positions"]] = 9
    return logits


def random_logits(rows, seed=0):
    random = np.random.default_rng(seed)
    return [random.normal(size=(2, len(row["input_ids"]))).astype(np.float32) for row in rows]


# ------------------------------------------------------------------------------------------ windows


def test_a_short_context_is_one_window_with_the_question_first():
    (row,) = encode_one(64, context="the lamp")
    assert pieces(row) == ["[CLS]", "lamp", "[UNK]", "[SEP]", "the", "lamp", "[SEP]"]
    assert row["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1]
    assert row["first"] == 4 and row["begin"] == 0
    assert row["offsets"].tolist() == [[0, 3], [4, 8]]


def test_windows_share_the_stride_and_say_where_they_begin():
    rows = encode_one(12, 2)
    assert [" ".join(pieces(row)[row["first"] : -1]) for row in rows] == [
        "the lamp i ##s very good .",
        "good . the chair i ##s not",
        "##s not bad",
    ]
    assert [row["begin"] for row in rows] == [0, 5, 10]


@given(st.text(alphabet="ab .é🙂", min_size=1, max_size=80), st.integers(8, 16), st.integers(0, 2))
def test_windows_join_to_the_whole_context(context, max_length, stride):
    assume(context_pieces(context))
    rows = encode_one(max_length, stride, context=context)
    whole = TOKENIZER(context, add_special_tokens=False, return_offsets_mapping=True)
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        size = len(row["offsets"])
        assert len(row["input_ids"]) == len(row["token_type_ids"]) == row["first"] + size + 1 <= max_length
        part = slice(row["begin"], row["begin"] + size)
        assert row["input_ids"][inside(row)] == whole["input_ids"][part]
        assert row["offsets"].tolist() == [list(pair) for pair in whole["offset_mapping"][part]]
        if following:
            assert len(row["input_ids"]) == max_length and part.stop - following["begin"] == stride
        else:
            assert part.stop == len(whole["input_ids"])


def test_many_questions_keep_their_order_and_their_own_windows():
    questions = [question(name=f"q{i}", context="the lamp " * (i % 3 * 6 + 1)) for i in range(1100)]
    rows = encode(TOKENIZER, questions, 12, 2)
    assert list(dict.fromkeys(row["id"] for row in rows)) == [f"q{i}" for i in range(1100)]
    assert sum(row["begin"] == 0 for row in rows) == 1100 and len(rows) > 1100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cafe\u0301 bar", ["cafe\u0301", "bar"]),  # the accent is dropped by the tokenizer, not by us
        ("e\u0301\u0323", ["e\u0301\u0323"]),
        ("☕\ufe0f ok", ["☕\ufe0f", "ok"]),
        ("1\ufe0f\u20e3 a", ["1\ufe0f\u20e3", "a"]),
        ("👩\u200d💻 a", ["👩\u200d💻", "a"]),
        ("👍🏽!", ["👍🏽", "!"]),
        ("שלום עולם", ["שלום", "עולם"]),
        ("नमस्ते", ["नमस्ते"]),
        ("a\u00a0b\tc", ["a", "b", "c"]),
        ("\u200bab\u200b c", ["ab", "c"]),
        ("한 a", ["한", "a"]),
        ("\u0301a", ["a"]),
    ],
)
def test_offsets_point_at_whole_characters(text, expected):
    (row,) = encode_one(64, context=text)
    words = []
    for piece, (start, end) in zip(pieces(row)[inside(row)], row["offsets"].tolist(), strict=True):
        joined = words and piece.startswith("##")
        words[-1:] = [(words[-1][0], end)] if joined else [*words[-1:], (start, end)]
    assert [text[start:end] for start, end in words] == expected


def test_a_mark_that_is_a_token_of_its_own_is_left_to_it():
    vocabulary = {piece: i for i, piece in enumerate([*VOCABULARY, "##\u0301", "##\u0323"])}
    cased = BertTokenizer(vocab=vocabulary, do_lower_case=False, strip_accents=False, model_max_length=64)
    (row,) = encode_one(64, tokenizer=cased, context="a\u0301\u0323b")
    assert row["offsets"].tolist() == [[0, 1], [1, 2], [2, 3], [3, 4]]


# ---------------------------------------------------------------------------------- targets and loss


def test_an_answer_inside_across_and_outside_a_window():
    context = "a b c d e f g h"  # eight word pieces; windows of six that share two: 0-5, 4-7
    rows = encode_one(11, 2, context=context, answer="b c")
    assert [(row["start_positions"], row["end_positions"]) for row in rows] == [(5, 6), (0, 0)]
    rows = encode_one(11, 2, context=context, answer="e f")  # whole in both
    assert [(row["start_positions"], row["end_positions"]) for row in rows] == [(8, 9), (4, 5)]
    for cut in ("d e f g", "f g", "a b c d e f g h"):
        rows = encode_one(11, 2, context=context, answer=cut)
        whole = [(row["start_positions"], row["end_positions"]) for row in rows]
        assert whole == {"f g": [(0, 0), (5, 6)]}.get(cut, [(0, 0), (0, 0)])
    assert [row["start_positions"] for row in encode_one(11, 2, context=context)] == [0, 0]


def test_the_first_of_several_answers_is_the_target_and_no_answers_column_gives_none():
    asked = question(answer="lamp")
    asked["answers"] = {"text": ["very good", "good"], "answer_start": [12, 17]}
    (row,) = encode(TOKENIZER, [asked], 64, 0)
    assert pieces(row)[row["start_positions"] : row["end_positions"] + 1] == ["very", "good"]
    del asked["answers"]
    assert "start_positions" not in encode(TOKENIZER, [asked], 64, 0)[0]


def test_an_answer_that_begins_inside_a_word_takes_the_pieces_it_touches():
    (row,) = encode_one(64, answer="mp is v")
    taken = pieces(row)[row["start_positions"] : row["end_positions"] + 1]
    assert taken == ["lamp", "i", "##s", "very"]


def test_neighbours_that_touch_the_answer_are_no_part_of_it():
    (row,) = encode_one(64, context="bad.lamp.good", answer="lamp")
    assert row["start_positions"] == row["end_positions"]
    assert pieces(row)[row["start_positions"]] == "lamp"


@given(st.lists(st.sampled_from(["the", "lamp", "ox", "éa", "🙂", "."]), min_size=1, max_size=30), st.data())
def test_a_window_has_the_answer_or_points_at_cls(words, data):
    context = " ".join(words)
    bounds = sorted(data.draw(st.tuples(*[st.integers(0, len(words) - 1)] * 2)))
    start = len(" ".join([*words[: bounds[0]], ""]))
    text = " ".join(words[bounds[0] : bounds[1] + 1])
    for row in encode_one(14, data.draw(st.integers(0, 3)), context=context, answer=text, start=start):
        first, last = row["start_positions"], row["end_positions"]
        whole = row["offsets"][0, 0] <= start and start + len(text) <= row["offsets"][-1, 1]
        assert whole == (first > 0)
        if whole:
            offsets = row["offsets"][[first - row["first"], last - row["first"]]]
            assert context[offsets[0, 0] : offsets[1, 1]] == text
        else:
            assert (first, last) == (0, 0)


def test_the_loss_is_the_librarys(tiny_bert):
    _, model = models.load("question-answering", str(tiny_bert))
    ids = torch.randint(6, 40, (3, 9), generator=torch.manual_seed(0))
    starts, ends = torch.tensor([0, 4, 20]), torch.tensor([0, 9, 3])  # 20 and 9 lie outside
    output = model(ids, start_positions=starts, end_positions=ends)
    loss = span_loss(output.start_logits, output.end_logits, starts, ends)
    torch.testing.assert_close(loss, output.loss, rtol=0, atol=0)


def test_the_loss_by_hand_and_positions_outside():
    start = torch.tensor([[0.0, 0.0], [1.0, 3.0]])
    end = torch.zeros(2, 2)
    both = span_loss(start, end, torch.tensor([0, 1]), torch.tensor([1, 0]))
    assert both.item() == pytest.approx(((math.log(2) + math.log(1 + math.exp(-2))) / 2 + math.log(2)) / 2)
    outside = span_loss(start, end, torch.tensor([0, 2]), torch.tensor([1, 99]))
    assert outside.item() == pytest.approx(math.log(2))


# ------------------------------------------------------------------------------------------ decoding


def all_spans(rows, logits, max_answer) -> dict[tuple[int, int], float]:
    """Every valid span and its best score, found in the slowest way."""
    found = {}
    for row, (start, end) in zip(rows, logits, strict=True):
        for i in range(len(row["offsets"])):
            for j in range(i, min(i + max_answer, len(row["offsets"]))):
                span = int(row["offsets"][i, 0]), int(row["offsets"][j, 1])
                score = start[row["first"] + i] + end[row["first"] + j]
                found[span] = max(float(score), found.get(span, -math.inf))
    return found


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 40))
def test_decoding_finds_what_the_slowest_search_finds(seed, max_answer, n_best):
    rows = encode_one(13, 3, context="the lamp is good . the chair is bad " * 2)
    logits = random_logits(rows, seed)
    answer = decode(rows, logits, n_best, max_answer)["q"]
    expected = sorted(all_spans(rows, logits, max_answer).items(), key=lambda item: -item[1])[:1]
    assert [((best.start, best.end), best.score) for best in answer.candidates[:1]] == expected
    assert answer.null_score == min(float(start[0] + end[0]) for start, end in logits)
    scores = [candidate.score for candidate in answer.candidates]
    assert scores == sorted(scores, reverse=True) and len(scores) <= n_best
    spans = [(candidate.start, candidate.end) for candidate in answer.candidates]
    assert len(set(spans)) == len(spans)
    weights = np.exp([answer.null_score, *scores])
    probabilities = [answer.null_probability, *(candidate.probability for candidate in answer.candidates)]
    assert probabilities == pytest.approx(list(weights / weights.sum()))


def test_n_best_is_complete_where_windows_do_not_overlap():
    rows = encode_one(64, 0)
    logits = random_logits(rows)
    expected = sorted(all_spans(rows, logits, 4).items(), key=lambda item: -item[1])
    found = decode(rows, logits, n_best=1000, max_answer=4)["q"].candidates
    assert [((c.start, c.end), c.score) for c in found] == expected


def test_the_question_the_separators_and_backward_spans_never_win():
    (row,) = encode_one(64)
    start, end = np.zeros((2, len(row["input_ids"])))
    start[[1, 3, -1, row["first"] + 5]] = [90, 90, 90, 8]  # question, [SEP], [SEP], "good"
    end[[2, 3, -1, row["first"] + 1]] = [90, 90, 90, 7]  # ends before it starts: "lamp"
    answer = decode([row], [(start, end)])["q"]
    assert answer.candidates[0].text.startswith("good")
    assert answer.candidates[0].score == 8 and answer.null_score == 0


def test_the_length_limit_counts_tokens():
    (row,) = encode_one(64)
    logits = at_targets(encode_one(64, answer="the lamp is very"))
    assert decode([row], logits, max_answer=5)["q"].text() == "the lamp is very"
    assert decode([row], logits, max_answer=4)["q"].text() != "the lamp is very"
    assert decode([row], logits, max_answer=999)["q"].text() == "the lamp is very"


def test_the_best_window_answers_and_every_window_must_hold_that_there_is_none():
    rows = encode_one(10, 2, context="a b c d e f g h", answer="g h")
    answer = decode(rows, at_targets(rows))["q"]
    assert (answer.text(), answer.candidates[0].start) == ("g h", 12)
    assert answer.null_score == -18 and answer.difference == -36
    assert answer.text(-36) == "g h" and answer.text(-36.5) == ""


def test_questions_are_kept_apart():
    asked = [question(name="one", answer="lamp"), question(name="two", answer="not bad")]
    rows = encode(TOKENIZER, asked, 12, 2)
    answers = decode(rows, at_targets(rows))
    assert {name: answer.text() for name, answer in answers.items()} == {"one": "lamp", "two": "not bad"}


@given(UNICODE, st.integers(0, 1000))
def test_every_candidate_is_the_context_at_its_offsets(context, seed):
    assume(context_pieces(context) and context.strip())
    rows = encode_one(9, 1, context=context)
    for candidate in decode(rows, random_logits(rows, seed))["q"].candidates:
        assert candidate.text == context[candidate.start : candidate.end] != ""
        assert 0 <= candidate.start < candidate.end <= len(context)
        assert not candidate.text[0].isspace() and not candidate.text[-1].isspace()


@given(UNICODE, st.data())
def test_a_sure_model_returns_the_answer_but_for_what_no_token_covers(context, data):
    assume(context_pieces(context))
    start = data.draw(st.integers(0, len(context) - 1))
    end = data.draw(st.integers(start + 1, len(context)))
    (bare,) = encode(TOKENIZER, [{"id": "q", "question": "lamp", "context": context}], 64, 0)
    covered = {
        c for token_start, token_end in bare["offsets"].tolist() for c in range(token_start, token_end)
    }
    wanted = covered & set(range(start, end))
    assume(wanted and context[start:end].strip())
    rows = encode_one(64, 0, context=context, answer=context[start:end], start=start)
    best = decode(rows, at_targets(rows), max_answer=64)["q"].candidates[0]
    assert wanted <= set(range(best.start, best.end))


# ----------------------------------------------------------------------------------------- threshold


def said(text, difference) -> Answer:
    return Answer([Candidate(text, 0, len(text), 0.0, 0.5)], difference, 0.5)


def test_the_threshold_silences_the_questions_that_cost_more_than_they_bring():
    answers = {"a": said("lamp", -5), "b": said("chair", -2), "c": said("lamp", 1), "d": said("lamp", 3)}
    references = [question(answer="lamp", name="a"), question(answer="chair", name="b")]
    references += [question(name="c"), question(name="d")]
    assert choose_threshold(answers, references) == -2
    assert choose_threshold(answers, references[2:]) == -math.inf
    assert choose_threshold(answers, references[:2]) == math.inf
    assert choose_threshold({"b": said("lamp", 4)}, references[1:2]) == math.inf  # in doubt, answer


TEXTS = st.sampled_from(["lamp", "the chair", "chair lamp", "bad"])
CASES = st.lists(st.tuples(TEXTS, TEXTS | st.none(), st.integers(-4, 4)), min_size=1, max_size=9)


@given(CASES)
def test_no_threshold_is_better_than_the_chosen_one(cases):
    answers = {str(i): said(text, difference) for i, (text, _, difference) in enumerate(cases)}
    references = [
        {"id": str(i), "answers": {"text": [truth] if truth else []}} for i, (_, truth, _) in enumerate(cases)
    ]

    def f1(threshold):
        return evaluate({name: answer.text(threshold) for name, answer in answers.items()}, references)["f1"]

    best = f1(choose_threshold(answers, iter(references)))
    assert best >= max(f1(threshold) for threshold in [-math.inf, math.inf, *range(-4, 5)]) - 1e-9


# ---------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("fields", "options", "words"),
    [
        ({"answer": "lamp", "start": 5}, {}, ["'q7'", "'lamp' is not at character 5"]),
        ({"answer": "not", "start": -7}, {}, ["'q7'", "not at character -7"]),
        ({"answer": " ", "start": 3}, {}, ["'q7'", "not at character 3"]),
        ({"context": " \n"}, {}, ["'q7'", "context is empty"]),
        ({"asked": ""}, {}, ["'q7'", "question is empty"]),
        ({"context": "\u200b \u0301"}, {}, ["'q7'", "drops all of its context"]),
        ({"context": "a \u200b b", "answer": "\u200b"}, {}, ["'q7'", "drops all of the answer"]),
        ({"asked": "a b c d e f g h i"}, {}, ["'q7' has 9 word pieces", "leaves 0 of 12"]),
        ({"asked": "a\nb c d e f g h"}, {}, ["'q7' has 8", "leaves 1 of 12", "stride 2"]),
        (
            {"asked": "lamp"},
            {"stride": 7, "max_length": 11},
            ["'q' has 2", "leaves 6 of 11", "smaller stride"],
        ),
        ({"asked": "a b c"}, {"stride": 6}, ["'q7' has 3", "leaves 6 of 12", "stride 6"]),
        ({}, {"stride": -1}, ["stride -1", "0 or more"]),
        ({}, {"max_length": 65}, ["window of 65", "at most 64"]),
    ],
)
def test_bad_questions_are_named_in_one_line(fields, options, words):
    with pytest.raises(ValueError) as error:
        encode(
            TOKENIZER,
            [question(), question(name="q7", **fields)],
            **{"max_length": 12, "stride": 2} | options,
        )
    assert_one_line(error, *words)


def test_the_longest_question_and_stride_that_fit_are_taken():
    assert encode_one(12, 0, asked="a b c d e f g h", context="a b")[1]["begin"] == 1
    assert len(encode_one(12, 6)) > 1


def test_the_same_id_twice_and_numbers_that_are_none_are_refused():
    with pytest.raises(ValueError) as error:
        encode(TOKENIZER, [question(), question()], 12, 2)
    assert_one_line(error, "'q' comes twice")
    rows = encode_one(64)
    with pytest.raises(ValueError) as error:
        decode(rows, [np.full((2, len(rows[0]["input_ids"])), np.nan)])
    assert_one_line(error, "'q'", "no finite numbers")


def test_nothing_gives_nothing():
    assert encode(TOKENIZER, [], 12, 2) == [] and decode([], []) == {}
    with pytest.raises(ValueError) as error:
        choose_threshold({}, [])
    assert_one_line(error, "no question")


# ------------------------------------------------------------------------------------------ training


def lessons():
    """In each text one of the words is the answer, and where "not" stands there is none."""
    texts = ["the {} is red", "a {} on a box", "red is the {}", "{} . {} not"]
    return [
        question(text.format(noun, noun), None if "not" in text else noun, name=f"{i}{noun}", asked="thing")
        for i, text in enumerate(texts)
        for noun in ("lamp", "chair")
    ]


def test_a_batch_is_padded_and_carries_what_the_model_takes():
    rows = encode(TOKENIZER, [question("the lamp", "lamp"), question(answer="bad", name="r")], 64, 0)
    batch = finetuning.collate(rows)
    assert set(batch) == {"input_ids", "attention_mask", "token_type_ids", *finetuning.POSITIONS}
    assert batch["token_type_ids"].tolist()[0][:9] == [0, 0, 0, 0, 1, 1, 1, 0, 0]
    assert batch["start_positions"].tolist() == [5, rows[1]["start_positions"]]
    assert batch["input_ids"].shape == batch["token_type_ids"].shape == batch["attention_mask"].shape


def test_a_tiny_bert_learns_its_lessons_by_heart(tiny_bert):
    tokenizer, model = finetuning.new_model("question-answering", TINY, name=str(tiny_bert))
    rows = encode(tokenizer, lessons(), 32, 4)
    result = finetuning.train(model, rows, TINY)
    assert [entry["epoch"] for entry in result.history] == list(range(1, 13))
    assert result.history[-1]["training loss"] < result.history[0]["training loss"] / 3
    answers = reader.answer(tokenizer, model, lessons(), 32, 4)
    threshold = choose_threshold(answers, lessons())
    texts = {name: answer.text(threshold) for name, answer in answers.items()}
    assert evaluate(texts, lessons())["f1"] == 100


def test_logits_do_not_depend_on_the_batch_and_come_in_the_order_of_the_rows(tiny_bert):
    tokenizer, model = finetuning.new_model("question-answering", TINY, name=str(tiny_bert))
    rows = encode(tokenizer, [question(CONTEXT * n, name=str(n)) for n in (2, 1, 3)], 24, 3)
    together, alone = predict(model, rows, 4), [predict(model, [row])[0] for row in rows]
    for row, one, other in zip(rows, together, alone, strict=True):
        assert one.shape == (2, len(row["input_ids"]))
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_segments_reach_the_model(tiny_bert):
    tokenizer, model = finetuning.new_model("question-answering", TINY, name=str(tiny_bert))
    rows = encode(tokenizer, [question()], 64, 0)
    flat = [row | {"token_type_ids": [0] * len(row["input_ids"])} for row in rows]
    assert np.abs(predict(model, rows)[0] - predict(model, flat)[0]).max() > 1e-3


def test_the_seed_makes_the_head_and_the_run_and_frozen_layers_stay(tiny_bert):
    recipe = replace(TINY, epochs=1, frozen_layers=1)
    weights = []
    for _ in range(2):
        tokenizer, model = finetuning.new_model("question-answering", recipe, name=str(tiny_bert))
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        finetuning.train(model, encode(tokenizer, lessons(), 32, 4), recipe)
        weights.append(model.state_dict())
        changed = {name for name in before if not torch.equal(before[name], weights[-1][name])}
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert "qa_outputs.weight" in changed and any("layer.1." in name for name in changed)
    assert not any("embeddings" in name or "layer.0." in name for name in changed)
