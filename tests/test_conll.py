"""CoNLL files: the rows of the shop's entities from one's own file, and what a bad line gets."""

import pytest
from helpers import assert_one_line
from hypothesis import given
from hypothesis import strategies as st

from utils import data
from utils.conll import join_words, load, read_conll
from utils.entities import from_bio, to_bio
from utils.schemas import ROW_CHECKS, DataError

GOOD = "The\tO\nMoth\tB-product\nlamp\tI-product\n.\tO\n\n3\tB-date\nMay\tI-date\n"
ROWS = [
    {
        "sentence_id": "mine:1",
        "text": "The Moth lamp .",
        "entities": [{"start": 4, "end": 13, "type": "product"}],
    },
    {"sentence_id": "mine:6", "text": "3 May", "entities": [{"start": 0, "end": 5, "type": "date"}]},
]


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "mine.conll"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def texts(rows):
    return [row["text"] for row in rows]


def found(rows):
    return [[row["text"][s["start"] : s["end"]] for s in row["entities"]] for row in rows]


def test_a_file_gives_rows_like_those_of_the_shop(write):
    assert read_conll(write(GOOD)) == ROWS
    loaded = load({"train": write(GOOD), "test": str(write(GOOD))}, ["product", "date"])
    assert {split: list(part) for split, part in loaded.items()} == {"train": ROWS, "test": ROWS}
    shop = data.load("entities")["train"].features
    assert loaded["train"].features == {name: shop[name] for name in ("sentence_id", "text", "entities")}


def test_a_file_without_entities_has_the_same_columns(write):
    assert load({"train": write("lamp O\n")})["train"].features == load({"a": write(GOOD)})["a"].features


@pytest.mark.parametrize(
    "content",
    [
        GOOD.replace("\t", " "),
        GOOD.replace("\t", "  \t "),
        GOOD.replace("\t", "\tNN\t_\t"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        GOOD.replace("O\n", "O \t\n"),
        GOOD.replace("\n\n", "\n \t\n"),
        GOOD.removesuffix("\n"),
        GOOD + "\n\n\n",
        "\ufeff" + GOOD,
    ],
)
def test_the_same_file_written_in_another_way(write, content):
    assert read_conll(write(content)) == ROWS


def test_document_lines_and_comments_are_left_out(write):
    content = (
        "# newdoc id = 1\n-DOCSTART- -X- -X- O\n\n# more of it and B-1\nlamp NN _ O\n"
        "-DOCSTART-\nchair NN _ B-part\n# text = x\nleg NN _ I-part\n"
    )
    rows = read_conll(write(content))
    assert texts(rows) == ["lamp", "chair leg"]
    assert [row["sentence_id"] for row in rows] == ["mine:5", "mine:7"]
    assert found(rows) == [[], ["chair leg"]]


@pytest.mark.parametrize("blank", [" ", "\t"])
def test_a_word_that_begins_with_a_hash_is_no_comment(write, blank):
    content = "# O\n#sale B-part\n# I-part\n#2 I-part\n".replace(" ", blank)
    rows = read_conll(write(content))
    assert texts(rows) == ["# #sale # #2"]
    assert found(rows) == [["#sale # #2"]]


def test_an_i_without_its_b_is_read_as_b_and_said(write, capsys):
    rows = read_conll(write("a I-part\nb I-part\nc B-date\nd I-part\n\ne I-part\nf O\n"))
    assert found(rows) == [["a b", "c", "d"], ["e"]]
    said = capsys.readouterr().out
    assert said == "mine.conll: 3 times I- without its B- was read as B-, first in line 1.\n"
    read_conll(write(GOOD))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("lamp O\nchair\n", ["line 2", "1 column, expected 2"]),
        ("lamp\nchair O\n", ["line 1", "1 column, expected 2"]),
        ("lamp NN O\n\nchair O\n", ["line 3", "2 columns, expected 3"]),
        ("lamp\tO\nNew York\tO\n", ["line 2", "3 columns, expected 2"]),
        ("lamp O\n#sale\n", ["line 2", "1 column"]),
        ("lamp O\n\tO\n", ["line 2", "1 column"]),
        ("lamp O\n\u00a0 O\n", ["line 2", "only white space"]),
        ("token tag\nlamp O\n", ["line 1", "'tag'", "write O, B-type or I-type"]),
        ("lamp O\nchair S-part\n", ["line 2", "'S-part'"]),
        ("lamp O\nchair B-\n", ["line 2", "'B-'"]),
        ("lamp O\n\nchair B-prat\n", ["line 3", "'prat'", "part, date"]),
        (b"lamp O\r\nchair O\n\xff\xfe O\n", ["line 3", "not UTF-8"]),
        (b"\xef\xbb\xbflamp O\ncaf\xe9 O\n", ["line 2", "not UTF-8"]),
        (GOOD.encode("utf-16"), ["line 1", "not UTF-8"]),
        ("", ["no sentence"]),
        ("\n \n\t\n", ["no sentence"]),
        ("-DOCSTART- O\n\n# only this\n", ["no sentence"]),
        ("\ufeff", ["no sentence"]),
    ],
)
def test_a_bad_file_is_named_with_its_line(write, content, words):
    with pytest.raises(DataError) as error:
        read_conll(write(content), ["part", "date"])
    assert_one_line(error, "mine.conll", *words)


def test_a_file_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "none.conll", tmp_path):
        with pytest.raises(DataError) as error:
            read_conll(path)
        assert_one_line(error, path.name, "correct the path")


WORD = st.text(alphabet="ab#-.\u0301\u00a0\u00ad\u200d\u2028\u0085é🙂אב", min_size=1, max_size=5).filter(
    str.strip
)
TAG = st.sampled_from(["O", "B-part", "I-part", "B-creative-work", "I-creative-work"])
SENTENCES = st.lists(st.lists(st.tuples(WORD, TAG), min_size=1, max_size=6), min_size=1, max_size=4)


@given(SENTENCES, st.sampled_from(["\t", " ", " NN\t"]), st.sampled_from(["\n", "\r\n", "\r"]))
def test_a_file_comes_back_word_by_word(tmp_path_factory, sentences, blank, end):
    path = tmp_path_factory.getbasetemp() / "drawn.conll"
    blocks = [[f"{word}{blank}{tag}{end}" for word, tag in sentence] for sentence in sentences]
    path.write_bytes(end.join("".join(block) for block in blocks).encode())
    rows = read_conll(path)
    assert len(rows) == len(sentences)
    for row, sentence in zip(rows, sentences, strict=True):
        text, words = join_words([word.strip() for word, _ in sentence])
        assert row["text"] == text
        assert row["entities"] == from_bio(words, [tag for _, tag in sentence])
        assert ROW_CHECKS["entities"](row) is None
        assert from_bio(*to_bio(text, row["entities"])) == row["entities"]  # fits the course's words too


@given(st.lists(st.text(max_size=4), max_size=6))
def test_joined_words_stand_where_it_says(words):
    text, spans = join_words(words)
    assert text == " ".join(words)
    assert [text[start:end] for start, end in spans] == words


LINE = st.sampled_from(
    ["a O", "b\tB-x", "# c", "#", "-DOCSTART-", "", "d I-x", "e f O", "\ufeff", "g \u00a0 O"]
)


@given(st.binary(max_size=60) | st.lists(LINE, max_size=6).map(lambda lines: "\n".join(lines).encode()))
def test_whatever_a_file_holds_gives_rows_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "drawn.conll"
    path.write_bytes(content)
    try:
        rows = read_conll(path)
    except DataError as error:
        assert "\n" not in str(error) and str(error).startswith("drawn.conll")
    else:
        assert rows and all(ROW_CHECKS["entities"](row) is None for row in rows)
