"""One's own table as rows of text: CSV, Parquet and Excel, read a piece at a time, and CSV written safely.

A cell is text or None (nothing in it, or only blanks). What is odd but harmless is handled and told in
`notes`; what would shift or lose values stops with one line. Not for what the rows mean (`records`).
"""

import codecs
import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import chain, islice
from pathlib import Path

import pyarrow.parquet

Row = dict[str, str | None]
SUFFIXES = (".csv", ".tsv", ".txt", ".parquet", ".xlsx")
LONGEST = 20_000  # characters of a cell that are kept: far more than a BERT reads
DELIMITERS = ",;\t|"
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet would take the cell for a formula
NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)*\s?%?")


class TableError(ValueError):
    """A table cannot be read or written; the message is one line that says what is wrong, where, what to do."""


class Table:
    """An opened table: `columns`, `notes`, and its rows as often as you like.

    Args:
        path: ends in .csv, .tsv, .txt (with a delimiter), .parquet or .xlsx (its first sheet).

    Raises:
        TableError: no such file, another suffix, nothing in it, no row, a damaged file, or a row with
            more cells than the table has columns (its line is named).
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self._told: dict[str, int] = {}  # sentences, and how often where that is counted
        suffix = self.path.suffix.lower()
        if suffix not in SUFFIXES:
            raise TableError(
                f"{self.path}: not a table that can be read: save it as CSV, Parquet or Excel (.xlsx)."
            )
        if not self.path.is_file():
            raise TableError(f"{self.path}: there is no such file: correct the path.")
        self._read = {".parquet": _parquet, ".xlsx": _excel}.get(suffix, _text)
        lines = self._lines()
        names = next(lines, None)
        if names is None:
            raise TableError(
                f"{self.path}: the file is empty: it needs a line with the names of the columns."
            )
        self.columns = self._unique(names[1])
        if next(lines, None) is None:
            raise TableError(f"{self.path}: it has names of columns and no row below: nothing to do.")

    @property
    def notes(self) -> list[str]:
        """What was handled so far, a sentence each: complete after the rows were read once."""
        return [f"{sentence}: {count}" if count else sentence for sentence, count in self._told.items()]

    def rows(self) -> Iterator[Row]:
        """Yield the rows one by one; memory does not grow with the table."""
        self._told = {sentence: n for sentence, n in self._told.items() if not n}  # count anew
        width = len(self.columns)
        for number, cells in islice(self._lines(), 1, None):
            if len(cells) > width and any(cell not in (None, "") for cell in cells[width:]):
                raise TableError(
                    f"{self.path}, line {number}: {len(cells)} cells and {width} columns: put cells that hold "
                    "the delimiter into quotation marks."
                )
            if len(cells) < width:
                self._count("rows with fewer cells than columns, the missing ones taken as empty")
            values = [self._clean(cell) for cell in cells[:width]]
            if any(values):
                yield dict(zip(self.columns, [*values, *[None] * (width - len(values))], strict=True))

    def chunks(self, size: int = 1000) -> Iterator[list[Row]]:
        """Yield the rows in lists of `size`, the last one shorter."""
        rows = self.rows()
        while chunk := list(islice(rows, size)):
            yield chunk

    def _lines(self) -> Iterator[tuple[int, list]]:
        """Yield (number of the line, cells), the names of the columns first."""
        try:
            yield from self._read(self)
        except TableError:
            raise
        except OSError as error:
            raise TableError(
                f"{self.path}: cannot be read ({error.strerror or error}): check the file."
            ) from None
        except Exception as error:  # each reader has its own errors for a damaged file
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise TableError(
                f"{self.path}: damaged, or not what its name says ({reason}): save it anew."
            ) from None

    @cached_property
    def encoding(self) -> str:
        """Return how a text file is encoded; read once to its end, since the first odd byte may come late."""
        with self.path.open("rb") as file:
            start = file.read(4)
            if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return "utf-16"
            decoder, block = codecs.getincrementaldecoder("utf-8")(), start
            try:
                while block:
                    decoder.decode(block)
                    block = file.read(1 << 20)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                self.tell("the file is not UTF-8 and was read as Windows-1252: check letters with accents")
                return "cp1252"
        return "utf-8-sig"

    def _unique(self, names: list) -> list[str]:
        columns: list[str] = []
        for place, name in enumerate(names, 1):
            name = " ".join(str(name or "").split()) or f"column {place}"
            if name == f"column {place}":
                self.tell(f"column {place} has no name and is called {name!r}")
            if name in columns:
                twin, number = name, 2
                while name in columns:
                    name, number = f"{twin} ({number})", number + 1
                self.tell(f"column {place} has the name of an earlier one and is called {name!r}")
            columns.append(name)
        return columns

    def _clean(self, cell) -> str | None:
        text = str(cell).strip() if cell is not None else ""
        if "\0" in text:
            self._count("cells with zero bytes, which were taken out")
            text = text.replace("\0", "").strip()
        if len(text) > LONGEST:
            self._count(f"cells longer than {LONGEST:,} characters, cut there")
            text = text[:LONGEST]
        return text or None

    def tell(self, sentence: str) -> None:
        """Add a sentence to `notes`."""
        self._told[sentence] = 0

    def _count(self, sentence: str) -> None:
        self._told[sentence] = self._told.get(sentence, 0) + 1


# ------------------------------------------------------------------------------------------ readers


def _text(table: Table) -> Iterator[tuple[int, list]]:
    with table.path.open(encoding=table.encoding, errors="replace", newline="") as file:
        start = file.read(65536)
        file.seek(0)
        csv.field_size_limit(2**31 - 1)  # of the whole module; its own, 131,072, is below a long cell
        reader = csv.reader(file, delimiter=_delimiter(start))
        for cells in reader:
            if cells:
                yield reader.line_num, cells


def _delimiter(start: str) -> str:
    """Return the delimiter that parts the first line most often, outside of quotation marks."""
    first = re.sub(r'"(?:[^"]|"")*"', "", start).split("\n", 1)[0]
    return max(DELIMITERS, key=first.count)


def _parquet(table: Table) -> Iterator[tuple[int, list]]:
    with pyarrow.parquet.ParquetFile(table.path) as file:
        yield 1, file.schema_arrow.names
        number = 1
        for batch in file.iter_batches(batch_size=1000):
            for cells in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                yield number, list(cells)


def _excel(table: Table) -> Iterator[tuple[int, list]]:
    import openpyxl

    book = openpyxl.load_workbook(table.path, read_only=True, data_only=True)
    try:
        if len(book.sheetnames) > 1:
            table.tell(f"only the first sheet, {book.sheetnames[0]!r}, is read")
        for number, cells in enumerate(book.worksheets[0].iter_rows(values_only=True), 1):
            if any(cell is not None for cell in cells):
                yield number, list(cells)
    finally:
        book.close()


# ------------------------------------------------------------------------------------------ writing


def neutralize(cell: str) -> str:
    """Put an apostrophe before what a spreadsheet would run as a formula; plain numbers stay (OWASP, CSV injection)."""
    return f"'{cell}" if cell.startswith(DANGEROUS) and not NUMBER.fullmatch(cell) else cell


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes `path` at the end; after an error nothing is left of it.

    Raises:
        TableError: the file cannot be written.
    """
    unfinished = path.with_name(path.name + ".part")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        raise TableError(
            f"{path}: cannot be written ({error.strerror or error}): choose another place."
        ) from None
    finally:
        unfinished.unlink(missing_ok=True)


def write_csv(path: str | Path, rows: Iterable[Row]) -> int:
    """Write rows as UTF-8 CSV that a spreadsheet opens safely, whole or not at all; return how many.

    The columns are those of the first row. None becomes an empty cell.

    Raises:
        TableError: no row, a row with other columns, or the file cannot be written.
    """
    path, rows, count = Path(path), iter(rows), 0
    first = next(rows, None)
    if first is None:
        raise TableError(f"{path}: there is no row to write.")
    with whole(path) as unfinished, unfinished.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([neutralize(name) for name in first])
        for row in chain([first], rows):
            if row.keys() != first.keys():
                raise TableError(f"{path}: row {count + 1} has other columns than the first.")
            writer.writerow(["" if cell is None else neutralize(str(cell)) for cell in row.values()])
            count += 1
    return count
