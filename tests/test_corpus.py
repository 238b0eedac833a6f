"""Corpora: docstrings to prose, any file to documents, and what a bad file gets."""

import json
import textwrap

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from helpers import assert_one_line, hub_folder

from utils import corpus, documentation, prose
from utils.corpus import CorpusError, documents
from utils.prose import docstring_sentences, split_sentences

DOCSTRING = """
    Return the mean of `values`, e.g. of a list, along :class:`~numpy.ndarray` axes.

    Values that are missing
    are left out of the sum.

    Parameters
    ----------
    values : array_like
        The values whose mean is wanted by the caller.
    axis (`int`, *optional*, defaults to 0):
        Axis along which the means are computed here.

    .. math::
        x = y + z and this is not a sentence of prose at all.

    >>> mean([1, 2, 3]) and this is an example that nobody reads.
    2

    See the `documentation <https://example.org>`_ for all of the details::

        mean(this, is, code, and, not, a, sentence, of, prose)

    ```python
    fenced code is not prose and must never come out as a sentence.
    ```
"""


def test_a_docstring_gives_its_sentences_without_code_headings_and_markup():
    assert docstring_sentences(DOCSTRING) == [
        "Return the mean of values, e.g. of a list, along ndarray axes.",
        "Values that are missing are left out of the sum.",
        "The values whose mean is wanted by the caller.",
        "Axis along which the means are computed here.",
        "See the documentation for all of the details:",
    ]


@pytest.mark.parametrize(
    "text, expected",
    [
        ("One ends here. Two begins there!", ["One ends here.", "Two begins there!"]),
        ("Use e.g. This one. It is fine.", ["Use e.g. This one.", "It is fine."]),
        ("Written by J. Smith in 1999. He left.", ["Written by J. Smith in 1999.", "He left."]),
        ("version 2.0 is out", ["version 2.0 is out"]),
        ("", []),
    ],
)
def test_sentences_end_where_they_should(text, expected):
    assert split_sentences(text) == expected


def test_source_files_are_read_not_imported(tmp_path):
    (tmp_path / "module.py").write_text(
        textwrap.dedent('''
            """This module would stop the tests if it were imported."""
            raise SystemExit
            class A:
                """A class that has some words to say."""
                async def f(self):
                    """And a method that has some words too."""
        ''')
    )
    (tmp_path / "broken.py").write_text("def f(:")
    (tmp_path / "bytes.py").write_bytes(b"\\xff\\x00")
    assert [
        len(prose.file_documents(tmp_path / name)) for name in ("module.py", "broken.py", "bytes.py")
    ] == [3, 0, 0]


def test_docs_come_from_installed_libraries_without_copies_and_are_cached(tmp_path, monkeypatch):
    found = corpus.docs(("seaborn", "not_installed"), progress=False)
    assert len(found) > 100 and set(found["library"]) == {"seaborn"}
    sentences = [sentence for row in found for sentence in row["sentences"]]
    assert len({documentation.hash_of(s) for s in sentences}) == len(sentences)
    monkeypatch.setattr(documentation, "_build_docs", lambda *_: pytest.fail("read again"))
    assert corpus.docs(("seaborn", "not_installed"))[0] == found[0]
    assert not list((tmp_path / "cache").glob("*.part"))


def test_a_repeated_sentence_parts_a_document():
    seen: set[int] = set()
    assert documentation.new_runs(["A b.", "C d.", "E f."], seen) == [["A b.", "C d.", "E f."]]
    assert documentation.new_runs(["G h.", "I j.", "C d.", "K l.", "M n."], seen) == [
        ["G h.", "I j."],
        ["K l.", "M n."],
    ]
    assert documentation.new_runs(["Call call_7 with FooBar.", "C d.", "O p."], seen) == [
        ["Call call_7 with FooBar."]
    ]
    assert documentation.new_runs(["Call call_8 with BarFoo."], seen) == []


def test_files_give_the_same_documents(tmp_path):
    expected = [["One is here. ".strip(), "Two is there."], ["Three stands alone."]]
    (tmp_path / "a.txt").write_text(
        "\ufeffOne is here. Two is there.\n\n\nThree stands alone.\n", encoding="utf-8"
    )
    rows = [{"body": "One is here.\nTwo is there."}, {"body": "Three stands alone."}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    for name in ("a.txt", "a.jsonl", "a.parquet"):
        assert list(documents(str(tmp_path / name), "body")) == expected, name


def test_the_shop_gives_training_texts_only():
    found = list(documents("shop"))
    test_reviews = {row["content"] for row in corpus.data.load("reviews")["test"]}
    assert len(found) > 2000
    assert not any(" ".join(document) in test_reviews for document in found)


@pytest.mark.parametrize(
    "name, content, column, words",
    [
        ("a.txt", b"fine\ncaf\xe9 here\n", "text", ["line 2", "byte 4", "UTF-8"]),
        ("a.jsonl", b'{"text": "a"}\n{"text": \n', "text", ["line 2", "not JSON"]),
        ("a.jsonl", b"[1]\n", "text", ["line 1", "list", "object"]),
        ("a.jsonl", b'{"body": "a"}\n', "text", ["line 1", "'text'", "body", "--text-column"]),
        ("a.jsonl", b'{"text": 5}\n', "text", ["line 1", "int", "another column"]),
        ("a.parquet", b"PAR1 no", "text", ["Parquet", "again"]),
        ("a.csv", b"a,b", "text", ["no corpus", ".parquet"]),
    ],
)
def test_a_bad_file_gets_one_line_with_the_place(tmp_path, name, content, column, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CorpusError) as error:
        list(documents(str(tmp_path / name), column))
    assert_one_line(error, *words)


def test_other_mistakes_get_one_line(tmp_path):
    pq.write_table(pa.table({"title": ["a"]}), tmp_path / "b.parquet")
    for name, words in (
        (str(tmp_path / "b.parquet"), ["'text'", "title"]),
        (str(tmp_path / "none.txt"), ["no such file"]),
        ("nonsense", ["docs, shop"]),
        ("docs:not_installed", ["not_installed", "installed"]),
        ("someone/not-here", ["neither on this machine"]),
    ):
        with pytest.raises(CorpusError) as error:
            list(documents(name))
        assert_one_line(error, *words)


def test_a_hub_data_set_is_read_from_the_cache(hub):
    rows = pa.table({"text": ["One is here.\nTwo is there."]})
    folder = hub_folder(hub, "someone/texts", "0" * 40, "datasets")
    for config in ("first", "second"):
        (folder / config).mkdir()
        pq.write_table(rows, folder / config / "train-0.parquet")
        pq.write_table(pa.table({"text": ["Not for training."]}), folder / config / "test-0.parquet")
    for name in ("someone/texts:first", f"someone/texts@{'0' * 40}:first"):
        assert list(documents(name)) == [["One is here.", "Two is there."]]
    with pytest.raises(CorpusError) as error:
        list(documents("someone/texts"))
    assert_one_line(error, "first, second", "someone/texts:first")
