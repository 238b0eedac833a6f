"""Entities: spans to tags to word pieces and back, scores against seqeval's definition, the dictionary."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from helpers import VOCABULARY, assert_one_line
from hypothesis import given
from hypothesis import strategies as st
from seqeval import metrics
from transformers import BertTokenizer

from utils import finetuning, models
from utils.entities import (
    Dictionary,
    decode,
    encode,
    entity_type,
    first_pieces,
    from_bio,
    label_names,
    repair,
    scores,
    scores_by_type,
    tag_spans,
    to_bio,
    word_tags,
)

TEXT = "My Moth floor lamp (OM-204817) came on 3 May."
SPANS = [
    {"start": 3, "end": 18, "type": "product"},
    {"start": 20, "end": 29, "type": "order"},
    {"start": 39, "end": 44, "type": "date"},
]


def span(start, end, kind="part"):
    return {"start": start, "end": end, "type": kind}


def test_the_example_has_the_spans_that_it_says():
    assert [TEXT[s["start"] : s["end"]] for s in SPANS] == ["Moth floor lamp", "OM-204817", "3 May"]


def test_spans_become_tags_of_words():
    words, tags = to_bio(TEXT, SPANS)
    assert [TEXT[start:end] for start, end in words][:7] == ["My", "Moth", "floor", "lamp", "(", "OM", "-"]
    assert tags[:5] == ["O", "B-product", "I-product", "I-product", "O"]
    assert tags[5:9] == ["B-order", "I-order", "I-order", "O"]
    assert len(words) == len(tags)


def test_neighbours_of_one_type_stay_two():
    spans = [span(0, 3), span(4, 9)]
    words, tags = to_bio("lid hinge", spans)
    assert tags == ["B-part", "B-part"]
    assert from_bio(words, tags) == spans


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (["I-part", "I-part"], [span(0, 9)]),  # an I alone opens
        (["B-part", "I-date"], [span(0, 3), span(4, 9, "date")]),  # another type opens
        (["O", "I-part"], [span(4, 9)]),
        (["B-part", "I-part"], [span(0, 9)]),
    ],
)
def test_tags_that_do_not_fit_are_read_as_conlleval_reads_them(tags, expected):
    assert from_bio(to_bio("lid hinge", [])[0], tags) == expected


def test_a_span_inside_a_word_and_two_in_one_word_are_refused():
    with pytest.raises(ValueError, match=r"'ing' begins or ends inside a word"):
        to_bio("hinge", [span(1, 4)])
    with pytest.raises(ValueError, match="share a word"):
        to_bio("lid hinge", [span(0, 9), span(4, 9)])


@given(st.data(), st.text(alphabet="ab \u0301é🙂-.\t\u00a0אב", max_size=40))
def test_there_and_back_gives_the_same_spans(data, text):
    words, _ = to_bio(text, [])
    spans, position = [], 0
    while position < len(words):
        length = data.draw(st.integers(0, 3))
        if length:
            last = min(position + length, len(words)) - 1
            spans.append(
                span(words[position][0], words[last][1], data.draw(st.sampled_from(["part", "date"])))
            )
        position += max(1, length)
    assert from_bio(*to_bio(text, spans)) == spans


def test_scores_count_whole_entities():
    truth = [[span(0, 3), span(4, 9)], [span(0, 2, "date")]]
    guess = [[span(0, 3), span(4, 8)], [span(0, 2, "part")]]
    assert scores(guess, truth) == {
        "precision": pytest.approx(100 / 3),
        "recall": pytest.approx(100 / 3),
        "f1": pytest.approx(100 / 3),
    }
    assert scores(truth, truth)["f1"] == 100
    assert scores([[], []], truth) == {"precision": 0, "recall": 0, "f1": 0}
    assert scores([[]], [[]])["f1"] == 0
    with pytest.raises(ValueError, match=r"shorter|longer"):
        scores([[]], truth)


@pytest.mark.parametrize(
    ("tags", "repaired", "count"),
    [
        ([], [], 0),
        (["I-part", "I-part"], ["B-part", "I-part"], 1),
        (["B-part", "I-date", "I-date"], ["B-part", "B-date", "I-date"], 1),
        (["I-part", "O", "I-part"], ["B-part", "O", "B-part"], 2),
        (["O", "B-part", "I-part", "B-part"], ["O", "B-part", "I-part", "B-part"], 0),
        (["I-creative-work", "I-creative"], ["B-creative-work", "B-creative"], 2),
    ],
)
def test_an_i_without_its_b_becomes_a_b_and_is_counted(tags, repaired, count):
    assert repair(tags) == (repaired, count)


@pytest.mark.parametrize("tag", ["", "o", "B", "I-", "B- ", "E-part", "S-part", "-part", "b-part", None, 3])
def test_a_tag_that_is_not_bio_is_refused(tag):
    for function in (entity_type, lambda tag: repair(["O", tag]), lambda tag: tag_spans([tag])):
        with pytest.raises(ValueError) as error:
            function(tag)
        assert_one_line(error, repr(tag), "write O, B-type or I-type")


# ------------------------------------------------------- scores of tags, against two other definitions

KINDS = ("date", "part", "creative-work")
TAG = st.sampled_from(label_names(KINDS))
PAIRS = st.lists(st.lists(st.tuples(TAG, TAG), max_size=12), max_size=5)


def every_entity(tags):
    """The definition word by word: try each stretch and ask whether it is an entity."""

    def belongs(index, kind):
        return 0 <= index < len(tags) and tags[index] in (f"B-{kind}", f"I-{kind}")

    return {
        (first, end, kind)
        for first in range(len(tags))
        for end in range(first + 1, len(tags) + 1)
        for kind in KINDS
        if (tags[first] == f"B-{kind}" or (tags[first] == f"I-{kind}" and not belongs(first - 1, kind)))
        and all(tag == f"I-{kind}" for tag in tags[first + 1 : end])
        and (end == len(tags) or tags[end] != f"I-{kind}")
    }


def by_definition(guess, truth):
    hits, found, wanted = len(guess & truth), len(guess), len(truth)
    precision = Fraction(hits, found) if found else Fraction(0)
    recall = Fraction(hits, wanted) if wanted else Fraction(0)
    total = precision + recall
    f1 = 2 * precision * recall / total if total else Fraction(0)
    return {"precision": 100 * precision, "recall": 100 * recall, "f1": 100 * f1}


def apart(pairs):
    """Split pairs of tags into (predicted, expected), each a list of sentences."""
    return [[[pair[side] for pair in sentence] for sentence in pairs] for side in (0, 1)]


def assert_same(ours, theirs):
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(float(value), abs=1e-9), name


@given(PAIRS)
def test_scores_of_tags_follow_the_definition(pairs):
    guess, truth = apart(pairs)
    spans = [[tag_spans(tags) for tags in side] for side in (guess, truth)]
    sets = [{(n, *e) for n, tags in enumerate(side) for e in every_entity(tags)} for side in (guess, truth)]
    assert_same(scores(*spans), by_definition(*sets))
    report = scores_by_type(*spans)
    assert list(report) == sorted({kind for side in sets for *_, kind in side})
    for kind, ours in report.items():
        kept = [{entity for entity in side if entity[-1] == kind} for side in sets]
        counts = {"predicted": len(kept[0]), "support": len(kept[1])}
        assert_same(ours, by_definition(*kept) | counts)


@given(PAIRS)
def test_scores_of_tags_are_those_of_seqeval(pairs):
    guess, truth = apart(pairs)
    spans = [[tag_spans(tags) for tags in side] for side in (guess, truth)]
    if not any(map(any, (*spans[0], *spans[1]))):
        return  # seqeval has no report on nothing
    theirs = metrics.classification_report(truth, guess, output_dict=True, zero_division=0)
    names = {"precision": "precision", "recall": "recall", "f1": "f1-score"}
    micro = theirs["micro avg"]
    assert_same(scores(*spans), {ours: 100 * micro[name] for ours, name in names.items()})
    report = scores_by_type(*spans)
    assert set(report) == {name for name in theirs if not name.endswith(" avg")}
    for kind, ours in report.items():
        expected = {mine: 100 * theirs[kind][name] for mine, name in names.items()}
        assert_same(ours, expected | {"support": theirs[kind]["support"], "predicted": ours["predicted"]})


@given(st.lists(TAG, max_size=12))
def test_repaired_tags_say_the_same_and_need_no_repair(tags):
    repaired, count = repair(tags)
    assert tag_spans(repaired) == tag_spans(tags)
    assert repair(repaired) == (repaired, 0)
    assert count == sum(new != old for new, old in zip(repaired, tags, strict=True))
    assert all(new == old or (old[0], new[0]) == ("I", "B") for new, old in zip(repaired, tags, strict=True))


def test_scores_by_type_name_what_only_one_side_has():
    report = scores_by_type([[span(0, 3), span(4, 9)]], [[span(0, 3), span(4, 9, "date")]])
    assert report == {
        "date": {"precision": 0, "recall": 0, "f1": 0, "support": 1, "predicted": 0},
        "part": {
            "precision": 50,
            "recall": 100,
            "f1": pytest.approx(200 / 3),
            "support": 1,
            "predicted": 2,
        },
    }
    assert scores_by_type([[]], [[]]) == {}


# -------------------------------------------------------------------------------- labels of word pieces

PIECES = [*VOCABULARY, "-", "£", "£100", "##1", "##0", "1", "0", "cafe", "א", "##ב", "\u0301"]
LABELS = label_names(["part", "date"])
UNICODE = st.text(
    alphabet="ab10£- .\t\n\u00a0\u00ad\u0301\u200d\u200f\ufe0féİ🙂אבक़हि한東ﬁß\x00\x1c\ufffd", max_size=24
)


def make_tokenizer(**options):
    return BertTokenizer(vocab={piece: index for index, piece in enumerate(PIECES)}, **options)


TOKENIZER = make_tokenizer()


def one_hot(window, labels=LABELS):
    """The logits of a model that is always right, with two rows of padding that are all wrong."""
    right = np.eye(len(labels))[[max(0, label) for label in window["token_labels"]]]
    return np.concatenate([right, np.ones((2, len(labels))) * 9])


def there_and_back(row, max_length=64, stride=0, tokenizer=TOKENIZER):
    windows = encode(tokenizer, [row], LABELS, max_length, stride)
    return decode([row], windows, [one_hot(window) for window in windows], LABELS)[0]


def some_spans(data, words):
    spans, position = [], 0
    while position < len(words):
        length = data.draw(st.integers(0, 3))
        if length:
            last = min(position + length, len(words)) - 1
            kind = data.draw(st.sampled_from(["part", "date"]))
            spans.append(span(words[position][0], words[last][1], kind))
        position += max(1, length)
    return spans


def test_the_labels_are_o_and_two_a_type():
    assert label_names(["part", "date", "part"]) == ("O", "B-date", "I-date", "B-part", "I-part")
    assert label_names([]) == ("O",)


def test_the_first_piece_of_a_word_has_its_label():
    row = {"text": "the red lamp-chair", "entities": [span(4, 12), span(13, 18, "date")]}
    (window,) = encode(TOKENIZER, [row], LABELS, 64)
    pieces = TOKENIZER.convert_ids_to_tokens(window["input_ids"])
    assert pieces == ["[CLS]", "the", "r", "##e", "##d", "lamp", "-", "chair", "[SEP]"]
    assert window["token_labels"] == [-100, 0, 3, -100, -100, 4, 0, 1, -100]
    assert window["words"] == [-1, 0, 1, -1, -1, 2, 3, 4, -1]
    assert window["row"] == 0
    assert window["input_ids"] == TOKENIZER(row["text"])["input_ids"]


def test_labels_of_words_and_texts_without_labels():
    marked = {"text": "a-b lamp", "words": [[0, 3], [4, 8]], "tags": ["B-part", "I-date"]}
    plain = [{"text": "a-b lamp"}, {"text": "a-b lamp", "words": [(0, 3), (4, 8)]}]
    windows = encode(TOKENIZER, [marked, *plain], LABELS, 64)
    assert windows[0]["token_labels"] == [-100, 3, -100, -100, 2, -100]
    assert [window["words"] for window in windows[1:]] == [[-1, 0, 1, 2, 3, -1], [-1, 0, -1, -1, 1, -1]]
    assert not any("token_labels" in window for window in windows[1:])
    logits = one_hot(windows[0])
    assert decode([marked], windows[:1], [logits], LABELS) == [[span(0, 3), span(4, 8, "date")]]


def test_pieces_outside_all_words_and_words_without_a_piece():
    assert first_pieces([(0, 1), (1, 3), (4, 9)], [(0, 3), (4, 6), (6, 9)]) == [0, -1, 1]
    assert first_pieces([(0, 1), (2, 3), (2, 3), (5, 6)], [(1, 3), (3, 5)]) == [-1, 0, -1, -1]
    assert first_pieces([(0, 1)], []) == [-1]
    assert first_pieces([], [(0, 1)]) == []


@pytest.mark.parametrize(
    ("text", "entity"),
    [
        ("cafe\u0301 lamp", "cafe\u0301"),  # the tokenizer drops the accent
        ("a £100 lamp", "£100"),  # one piece, two words
        ("a £101 lamp", "£101"),
        ("the lamp\ufe0f", "lamp\ufe0f"),
        ("the la\u00admp on", "la\u00admp"),  # a soft hyphen, dropped inside a word
        ("a\u00a0lamp\tand\nchair", "lamp\tand\nchair"),
        ("the lamp \ufe0f chair is", "lamp \ufe0f chair"),
        ("אב lamp", "אב"),
        ("good🙂 lamp", "good🙂"),  # one [UNK] for both
        ("İ lamp", "lamp"),  # its lower case has two characters
    ],
)
def test_an_entity_comes_back_letter_by_letter(text, entity):
    start = text.index(entity)
    row = {"text": text, "entities": [span(start, start + len(entity))]}
    assert there_and_back(row) == row["entities"]


def test_a_word_of_which_nothing_is_left_says_nothing():
    row = {"text": "lamp \ufe0f chair", "entities": [span(5, 6)]}
    assert there_and_back(row) == []
    windows = encode(TOKENIZER, [row], LABELS, 64)
    assert word_tags([row], windows, [one_hot(windows[0])], LABELS) == [([(0, 4), (7, 12)], ["O", "O"])]


def test_a_type_that_looks_like_a_tag_goes_on_over_an_accent():
    labels = label_names(["B-cell"])
    row = {"text": "e\u0301 a", "entities": [span(0, 2, "B-cell")]}
    windows = encode(TOKENIZER, [row], labels, 64)
    logits = [one_hot(windows[0], labels)]
    assert word_tags([row], windows, logits, labels)[0][1] == ["B-B-cell", "I-B-cell", "O"]
    assert decode([row], windows, logits, labels) == [row["entities"]]


@given(st.data(), UNICODE | st.text(max_size=24), st.integers(4, 12), st.booleans())
def test_what_is_found_is_a_stretch_of_whole_words_whatever_the_model_says(data, text, max_length, lower):
    tokenizer = TOKENIZER if lower else CASED
    row = {"text": text}
    windows = encode(tokenizer, [row], LABELS, max_length, data.draw(st.integers(0, max_length - 3)))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    logits = [random.random((len(window["input_ids"]), len(LABELS))) for window in windows]
    words = to_bio(text, [])[0]
    end = 0
    for found in decode([row], windows, logits, LABELS)[0]:
        assert end <= found["start"] < found["end"] <= len(text)
        surface = text[found["start"] : found["end"]]
        assert surface and surface == surface.strip()
        assert found["start"] in {start for start, _ in words} and found["end"] in {end for _, end in words}
        end = found["end"]


@given(st.data(), UNICODE, st.integers(4, 12), st.booleans())
def test_right_logits_give_the_spans_back_wherever_each_word_has_a_piece(data, text, max_length, lower):
    tokenizer = TOKENIZER if lower else CASED
    words = to_bio(text, [])[0]
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    firsts = [word for word in first_pieces(offsets, words) if word >= 0]
    row = {"text": text, "entities": some_spans(data, words)}
    found = there_and_back(row, max_length, data.draw(st.integers(0, max_length - 3)), tokenizer)
    if firsts == list(range(len(words))):
        assert found == row["entities"]
    starts = {words[word][0] for word in firsts}
    assert {s["start"] for s in row["entities"]} & starts <= {s["start"] for s in found}


CASED = make_tokenizer(do_lower_case=False)


# ------------------------------------------------------------------------------------------ windows


@given(st.integers(0, 40), st.integers(3, 12), st.data())
def test_windows_hold_every_piece_and_label_every_word_once(count, max_length, data):
    stride = data.draw(st.integers(0, max_length - 3))
    row = {"text": "red lamp " * count, "entities": []}
    whole = TOKENIZER(row["text"], add_special_tokens=False)["input_ids"]
    windows = encode(TOKENIZER, [row], LABELS, max_length, stride)
    assert all(len(window["input_ids"]) == len(window["token_labels"]) <= max_length for window in windows)
    assert sorted(w for window in windows for w in window["words"] if w >= 0) == list(range(2 * count))
    joined, position = [], 0
    for number, window in enumerate(windows):
        ids = window["input_ids"]
        assert (ids[0], ids[-1]) == (TOKENIZER.cls_token_id, TOKENIZER.sep_token_id)
        shared = stride if number else 0
        assert ids[1 : 1 + shared] == joined[len(joined) - shared :]
        joined += ids[1 + shared : -1]
        for place, word in enumerate(window["words"]):
            if word >= 0 and number:
                assert place - 1 >= stride // 2
            if word >= 0 and number < len(windows) - 1:
                assert len(ids) - 2 - (place - 1) >= stride - stride // 2
        position += 1
    assert joined == whole and position == len(windows)


def test_windows_of_several_texts_keep_their_rows():
    rows = [{"text": text, "entities": []} for text in ("", "lamp " * 7, "chair")]
    windows = encode(TOKENIZER, rows, LABELS, 6, 2)
    assert [window["row"] for window in windows] == [0, 1, 1, 1, 2]
    assert len(windows[0]["input_ids"]) == 2
    assert encode(TOKENIZER, [], LABELS, 6, 2) == [] == decode([], [], [], LABELS)
    logits = np.zeros((5, 6, len(LABELS)))
    logits[3, :, LABELS.index("B-part")] = 1  # the last window of the second text
    assert [len(spans) for spans in decode(rows, windows, logits, LABELS)] == [0, 2, 0]


def test_the_truncation_that_a_tokenizer_was_saved_with_cuts_nothing():
    tokenizer = make_tokenizer(model_max_length=8)
    tokenizer.backend_tokenizer.enable_truncation(8)
    tokenizer.backend_tokenizer.enable_padding(length=8)
    windows = encode(tokenizer, [{"text": "lamp " * 30}, {"text": "lamp"}], LABELS, 64)
    assert [len(window["input_ids"]) for window in windows] == [32, 3]


@pytest.mark.parametrize(("max_length", "stride"), [(10, 8), (10, 9), (10, -1), (2, 0), (0, 0)])
def test_a_stride_that_is_not_below_the_window_is_refused(max_length, stride):
    with pytest.raises(ValueError) as error:
        encode(TOKENIZER, [], LABELS, max_length, stride)
    assert_one_line(error, f"stride of {stride} is not below the {max_length - 2} word pieces")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"text": "hinge\nx", "entities": [span(1, 4)]}, ["row 7", "begins or ends inside a word"]),
        ({"text": "lid hinge", "entities": [span(4, 3)]}, ["row 7", "is empty"]),
        ({"text": "hinge", "entities": [span(0, 5, "prat")]}, ["row 7", "'B-prat'", "B-part"]),
        ({"text": "hinge", "words": [(0, 5)], "tags": ["part"]}, ["row 7", "'part'", "not one of"]),
        ({"text": "hinge", "words": [(0, 5)], "tags": []}, ["row 7", "1 words and 0 tags"]),
        ({"sentence_id": "S01", "text": "hinge", "entities": [span(0, 9)]}, ["row 'S01'"]),
    ],
)
def test_a_bad_row_is_named(row, words):
    with pytest.raises(ValueError) as error:
        encode(TOKENIZER, [{"text": "lamp"}] * 7 + [row], LABELS, 64)
    assert_one_line(error, *words)


def test_logits_that_do_not_fit_are_refused():
    rows = [{"text": "lamp"}]
    windows = encode(TOKENIZER, rows, LABELS, 64)
    for logits, word in (
        ([], "0 windows of 1"),
        (np.zeros((1, 2, 5)), "window 0: the shape is (2, 5), expected (3, 5)"),
        (np.zeros((1, 3, 4)), "(3, 4), expected (3, 5)"),
        (np.zeros((1, 3)), "(3,), expected (3, 5)"),
    ):
        with pytest.raises(ValueError) as error:
            decode(rows, windows, logits, LABELS)
        assert_one_line(error, word)


def test_a_bert_learns_the_labels_and_its_logits_give_the_entities(tiny_bert):
    rows = [
        {"text": "the red lamp is a lamp", "entities": [span(4, 12), span(18, 22, "date")]},
        {"text": "good chair.", "entities": [span(5, 10)]},
        {"text": "not very bad", "entities": []},
    ]
    torch.manual_seed(0)
    tokenizer, model = models.load(
        "token-classification", str(tiny_bert), num_labels=len(LABELS), hidden_dropout_prob=0.0
    )
    windows = encode(tokenizer, rows, LABELS, 12, 4)
    batch = finetuning.collate(windows)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        model(**batch).loss.backward()
        optimizer.step()
    with torch.inference_mode():
        logits = model(**batch).logits
    assert decode(rows, windows, logits, LABELS) == [row["entities"] for row in rows]


# ----------------------------------------------------------------------------------------- baseline


def test_the_dictionary_marks_what_it_has_seen_and_two_patterns():
    book = Dictionary([TEXT, "the lid, the floor lamp"], [SPANS, [span(4, 7)]])
    found = book.predict("A moth floor lamp and its LID for €12.50, order OM-111222, Moths")
    text = "A moth floor lamp and its LID for €12.50, order OM-111222, Moths"
    assert [(text[s["start"] : s["end"]], s["type"]) for s in found] == [
        ("moth floor lamp", "product"),
        ("LID", "part"),
        ("€12.50", "money"),
        ("OM-111222", "order"),
    ]


def test_a_dictionary_of_nothing_and_letters_that_grow():
    assert Dictionary([], []).predict("lid") == []
    book = Dictionary(["lid"], [[span(0, 3)]])
    assert book.predict("İ lid") == [span(2, 5)]  # the lower case of İ has two characters
