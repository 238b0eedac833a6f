"""A reader for CoNLL files of one's own: a word and its tag a line, a blank line between sentences.

It gives the rows of the shop's entities, so all that learns from those learns from these. Not for
tags other than BIO, and not for data sets that the course knows by name (`data`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from datasets import Dataset, DatasetDict, Features, List, Value

from utils.entities import Word, entity_type, from_bio, repair
from utils.schemas import DataError

FEATURES = Features(
    {
        "sentence_id": Value("string"),
        "text": Value("string"),
        "entities": List({"start": Value("int64"), "end": Value("int64"), "type": Value("string")}),
    }
)
Token = tuple[int, str, str]  # number of the line, word, tag


def load(files: Mapping[str, str | Path], types: Iterable[str] = ()) -> DatasetDict:
    """Return CoNLL files as a data set: `load({"train": "train.conll", "test": "test.conll"})`.

    The columns are those of `data.load("entities")`, without the ticket and the language, which a
    CoNLL file does not say. `types` and errors are those of `read_conll`.
    """
    types = tuple(types)
    return DatasetDict(
        {split: Dataset.from_list(read_conll(path, types), FEATURES) for split, path in files.items()}
    )


def read_conll(path: str | Path, types: Iterable[str] = ()) -> list[dict]:
    """Return the sentences of a CoNLL file as rows: `sentence_id` (file and line), `text`, `entities`.

    Columns are separated by blanks or tabs; the first is the word, the last its tag, and those between
    are not read. Left out are -DOCSTART- lines and comments: lines that begin with `# ` and do not
    have the columns of a word. The words are joined by one blank each to `text`.

    An I without its B is read as a B, as conlleval does; how many there were is printed in one line.

    Args:
        types: the types that may occur; empty for any.

    Raises:
        DataError: with file and line: not UTF-8, another number of columns than in the first line, a
            word that is only white space, a tag that is not BIO or of an unknown type; or a file
            that is missing or without a sentence.
    """
    path, types = Path(path), tuple(types)
    rows, repaired = [], []
    for sentence in _sentences(path.name, _lines(path)):
        numbers, words, tags = zip(*sentence, strict=True)
        for number, tag in zip(numbers, tags, strict=True):
            _check(path.name, number, tag, types)
        text, spans = join_words(words)
        good, _ = repair(tags)
        repaired += [n for n, new, old in zip(numbers, good, tags, strict=True) if new != old]
        name = f"{path.stem}:{numbers[0]}"
        rows.append({"sentence_id": name, "text": text, "entities": from_bio(spans, good)})
    if not rows:
        raise DataError(f"{path.name}: no sentence in it: write a word and its tag a line.")
    if repaired:
        print(
            f"{path.name}: {len(repaired)} times I- without its B- was read as B-, first in line {repaired[0]}."
        )
    return rows


def join_words(words: Sequence[str]) -> tuple[str, list[Word]]:
    """Return the words as one text with a blank between them, and (start, end) of each in it."""
    spans: list[Word] = []
    for word in words:
        start = spans[-1][1] + 1 if spans else 0
        spans.append((start, start + len(word)))
    return " ".join(words), spans


def _lines(path: Path) -> list[str]:
    """Return the lines of a text file; a line ends as on Linux, Windows or an old Mac, nowhere else."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}): correct the path.") from None
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = len(re.split(rb"\r\n|\r|\n", content[: error.start]))
        raise DataError(f"{path.name}, line {line}: not UTF-8: save the file as UTF-8.") from None
    return re.split(r"\r\n|\r|\n", text)


def _sentences(name: str, lines: list[str]) -> Iterator[list[Token]]:
    """Group the lines that hold a word into sentences."""
    table = [(number, line, re.split(r"[ \t]+", line.strip(" \t"))) for number, line in enumerate(lines, 1)]
    width = next((len(columns) for _, line, columns in table if _kind(line, columns) == "word"), 2)
    sentence: list[Token] = []
    for number, line, columns in table:
        kind = _kind(line, columns)
        if kind == "word" or (kind == "comment" and len(columns) == width and _is_tag(columns[-1])):
            sentence.append((number, *_word(name, number, columns, width)))
        elif kind == "border" and sentence:
            yield sentence
            sentence = []
    if sentence:
        yield sentence


def _kind(line: str, columns: list[str]) -> str:
    if columns == [""] or columns[0] == "-DOCSTART-":
        return "border"
    return "comment" if line.startswith("# ") else "word"


def _word(name: str, number: int, columns: list[str], width: int) -> tuple[str, str]:
    if len(columns) < 2 or len(columns) != width:
        found = f"{len(columns)} column{'s' if len(columns) > 1 else ''}, expected {max(2, width)}"
        raise DataError(f"{name}, line {number}: {found}: write the word first and its tag last.")
    word = columns[0].strip()
    if not word:
        raise DataError(f"{name}, line {number}: the word is only white space: take the line out.")
    return word, columns[-1]


def _is_tag(text: str) -> bool:
    try:
        entity_type(text)
    except ValueError:
        return False
    return True


def _check(name: str, number: int, tag: str, types: tuple[str, ...]) -> None:
    try:
        kind = entity_type(tag)
    except ValueError as error:
        raise DataError(f"{name}, line {number}: {error}") from None
    if types and kind and kind not in types:
        raise DataError(f"{name}, line {number}: the type {kind!r} is not one of {', '.join(types)}.")
