"""Entities: spans to tags and back, scores against the definition of conlleval, the dictionary."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utils.entities import Dictionary, from_bio, scores, to_bio

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
