"""Text to pre-train on, as documents: lists of sentences, read one at a time whatever the size.

`docs` (the documentation on this machine), `shop` (the course's data), a file, or a Hub data set.
Not for turning text into word pieces (`pretraining.tokens`) and not for labelled rows (`data`).
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from huggingface_hub import snapshot_download

from utils import data
from utils.documentation import docs, docs_libraries
from utils.prose import CorpusError, Document, split_sentences

SUFFIXES = (".txt", ".jsonl", ".parquet")


def documents(corpus: str, text_column: str = "text") -> Iterator[Document]:
    """Yield the documents of `corpus`, each a list of sentences in their order.

    Args:
        corpus: "docs" (or "docs:numpy,scipy" for some libraries), "shop", the path of a .txt (a paragraph a line, a blank line between
            documents), .jsonl or .parquet file, or a Hub data set as "owner/name", with
            "@revision" and ":folder" after it where wanted.
        text_column: where a .jsonl, .parquet or Hub data set keeps the text of a document.

    Raises:
        CorpusError: unknown corpus, no such file, not UTF-8, a row that is no record, no such column.
    """
    path = Path(corpus)
    if corpus == "docs" or corpus.startswith("docs:"):
        yield from (row["sentences"] for row in docs(docs_libraries(corpus)))
    elif corpus == "shop":
        yield from shop()
    elif path.suffix in SUFFIXES:
        if not path.is_file():
            raise CorpusError(f"{path}: there is no such file: check the path.")
        readers = {".txt": text_documents, ".jsonl": json_documents, ".parquet": parquet_documents}
        yield from readers[path.suffix](path, text_column)
    elif re.fullmatch(r"[\w.-]+/[\w.-]+(@\w+)?(:[\w./-]+)?", corpus) and not path.exists():
        for file in hub_files(corpus):
            yield from parquet_documents(file, text_column)
    else:
        raise CorpusError(
            f"{corpus!r} is no corpus: name docs, shop, a {', '.join(SUFFIXES)} file, or a Hub data set owner/name."
        )


def shop() -> Iterator[Document]:
    """Yield the shop's training texts: reviews, tickets and the handbook's passages."""
    for name, columns in (("reviews", ("title", "content")), ("tickets", ("title", "description"))):
        for row in data.load(name)["train"]:
            yield [s for column in columns if row[column] for s in split_sentences(row[column])]
    for passage in dict.fromkeys(data.load("handbook")["train"]["context"]):
        yield sentences_of(passage)


def sentences_of(text: str) -> Document:
    """Split a text to sentences; a line break ends a sentence, as it ends a paragraph or a title."""
    return [sentence for line in text.splitlines() for sentence in split_sentences(line)]


# ------------------------------------------------------------------------------------- any file


def text_documents(path: Path, text_column: str = "") -> Iterator[Document]:
    """Yield the documents of a text file: a paragraph a line, a blank line between documents."""
    gathered: Document = []
    for line in _lines(path):
        if line.strip():
            gathered += split_sentences(line.strip())
        elif gathered:
            yield gathered
            gathered = []
    if gathered:
        yield gathered


def json_documents(path: Path, text_column: str) -> Iterator[Document]:
    """Yield the documents of a file of JSON lines, one object a line with the text in `text_column`."""
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise CorpusError(
                f"{path}, line {number}: not JSON ({error.msg}): mend or drop the line."
            ) from None
        if not isinstance(row, dict):
            raise CorpusError(
                f"{path}, line {number}: a {type(row).__name__}, not an object: write one object a line."
            )
        yield _document(row, text_column, f"{path}, line {number}")


def parquet_documents(path: Path, text_column: str) -> Iterator[Document]:
    """Yield the documents of a Parquet file, read 200 rows at a time."""
    try:
        file = pq.ParquetFile(path, pre_buffer=False)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise CorpusError(f"{path}: no readable Parquet file ({reason}): fetch or write it again.") from None
    if text_column not in file.schema_arrow.names:
        raise _missing(str(path), text_column, file.schema_arrow.names)
    number = 0
    for batch in file.iter_batches(200, columns=[text_column]):
        for row in batch.to_pylist():
            number += 1
            yield _document(row, text_column, f"{path}, row {number}")


def hub_files(name: str) -> list[Path]:
    """Return the Parquet files of a Hub data set's training split, from the hub cache or the network."""
    repository, _, folder = name.partition(":")
    repository, _, revision = repository.partition("@")
    try:
        root = Path(
            snapshot_download(
                repository, repo_type="dataset", revision=revision or None, allow_patterns=["*.parquet"]
            )
        )
    except Exception as error:  # the Hub raises many kinds
        reason = str(error).splitlines()[0]
        raise CorpusError(
            f"{name}: neither on this machine nor to be fetched ({reason}): check the name, or add @revision."
        ) from None
    files = sorted(path for path in (root / folder).rglob("*.parquet"))
    training = [path for path in files if "train" in str(path.relative_to(root))] or files
    if not training:
        raise CorpusError(f"{name}: no Parquet file in it: choose a data set that is stored as Parquet.")
    folders = sorted({str(path.parent.relative_to(root)) for path in training})
    if len(folders) > 1:
        raise CorpusError(f"{name}: several folders ({', '.join(folders)}): write {name}:{folders[0]}.")
    return training


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise CorpusError(
                    f"{path}, line {number}: byte {error.start + 1} is not UTF-8: save the file as UTF-8."
                ) from None


def _document(row: dict, text_column: str, where: str) -> Document:
    if text_column not in row:
        raise _missing(where, text_column, list(row))
    if not isinstance(row[text_column] or "", str):
        raise CorpusError(
            f"{where}: {text_column} is a {type(row[text_column]).__name__}, not text: name another column."
        )
    return sentences_of(row[text_column] or "")


def _missing(where: str, column: str, there: Iterable[str]) -> CorpusError:
    return CorpusError(
        f"{where}: no column {column!r} (there are {', '.join(there)}): name it with --text-column."
    )
