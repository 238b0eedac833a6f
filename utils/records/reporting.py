"""The report: a row for each doubtful field of a table, with reason and confidence, as CSV or as a page.

Streams: memory does not grow with the table. Not for judging (`cells`) or learning (`learning`).
"""

import base64
import html
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from utils.records import decisions
from utils.records.learning import Judge, RecordsError
from utils.tables import Table, TableError, whole, write_csv

CHUNK = 512  # records judged together
SHOWN = 200  # characters of a value in the report
COLUMNS = ("row", "record", "field", "value", "kind", "reason", "confidence")

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #222 }}
table {{ border-collapse: collapse; width: 100% }} th, td {{ padding: .3rem .6rem; text-align: left; vertical-align: top }}
tbody tr:nth-child(odd) {{ background: #f4f4f4 }} img {{ max-width: 100% }} td:last-child {{ text-align: right }}
</style>
<h1>{title}</h1>
<p>{summary}</p>
{notes}
<img alt="{alt}" src="data:image/png;base64,{picture}">
<table><thead><tr>{head}</tr></thead><tbody>
"""


@dataclass
class Found:
    """What a report counted: records read, records with a doubtful field, fields by (field, kind)."""

    records: int = 0
    doubtful: int = 0
    fields: Counter = field(default_factory=Counter)

    @property
    def summary(self) -> str:
        return f"{self.doubtful:,} of {self.records:,} records have a doubtful field; {self.fields.total():,} fields in all."


def check(table: Table, judge: Judge) -> int:
    """Read the whole table once and return its number of records, so that a mistake in it is told at once.

    Raises:
        RecordsError: a column that the judge has learnt is missing.
        TableError: a row that cannot be read.
    """
    missing = [name for name in judge.settings.fields if name not in table.columns]
    if missing:
        raise RecordsError(
            f"{table.path}: no column {missing[0]!r}, which the model has learnt: give a table with the same "
            "columns, or learn anew."
        )
    return sum(1 for _ in table.rows())


def doubtful_fields(
    table: Table,
    judge: Judge,
    threshold: float,
    found: Found,
    total: int | None = None,
    progress: bool = True,
) -> Iterator[dict]:
    """Yield a row of COLUMNS for each field whose doubt reaches `threshold`, and count in `found`."""
    settings, key = judge.settings, table.columns[0]
    with tqdm(total=total, desc="Judging", unit=" records", disable=not progress) as bar:
        for chunk in table.chunks(CHUNK):
            probabilities = judge.probabilities(chunk)
            doubts = decisions.doubt(probabilities)
            found.doubtful += int((doubts.max(1) >= threshold).sum())
            for index, column in np.argwhere(doubts >= threshold):
                name = settings.fields[column]
                kind = settings.kinds[int(probabilities[index, column, 1:].argmax())]
                found.fields[name, kind] += 1
                yield {
                    "row": found.records + int(index) + 1,
                    "record": _short(chunk[index][key]),
                    "field": name,
                    "value": _short(chunk[index][name]),
                    "kind": kind,
                    "reason": decisions.reason(name, kind),
                    "confidence": f"{doubts[index, column]:.2f}",
                }
            found.records += len(chunk)
            bar.update(len(chunk))


def write(path: Path, rows: Iterator[dict], found: Found, notes: list[str], draw) -> None:
    """Write the rows to a .csv (and the picture beside it, .png) or to one .html page, whole or not at all.

    Args:
        draw: makes the summary picture of `found` at a path.

    Raises:
        TableError: the suffix is neither, or the file cannot be written.
    """
    check_output(path)
    if path.suffix.lower() == ".csv":
        first = next(rows, None)
        if first:
            write_csv(path, chain([first], rows))
        else:
            with whole(path) as unfinished:
                unfinished.write_text(",".join(COLUMNS) + "\n", encoding="utf-8-sig")
        with whole(path.with_suffix(".png")) as unfinished:
            draw(found, unfinished)
        return
    with whole(path) as unfinished, tempfile.TemporaryDirectory() as scratch:
        body, picture = Path(scratch) / "rows.html", Path(scratch) / "summary.png"
        with body.open("w", encoding="utf-8") as file:
            for row in rows:
                cells = "".join(f"<td>{html.escape(str(row[name] or ''))}</td>" for name in COLUMNS)
                file.write(f"<tr>{cells}</tr>\n")
        draw(found, picture)
        with unfinished.open("w", encoding="utf-8") as file, body.open(encoding="utf-8") as rows_of_page:
            file.write(
                PAGE.format(
                    title="Doubtful fields",
                    summary=html.escape(found.summary),
                    notes="".join(f"<p>Note: {html.escape(note)}.</p>\n" for note in notes),
                    alt="Number of doubtful fields by field and kind.",
                    picture=base64.b64encode(picture.read_bytes()).decode(),
                    head="".join(f"<th>{name}</th>" for name in COLUMNS),
                )
            )
            shutil.copyfileobj(rows_of_page, file)
            file.write("</tbody></table></html>\n")


def check_output(path: Path) -> None:
    """Raises TableError where a report cannot have that name."""
    if path.suffix.lower() not in (".csv", ".html"):
        raise TableError(f"{path}: a report is a .csv or a .html file: change its name.")


def _short(value: str | None) -> str:
    value = value or ""
    return value if len(value) <= SHOWN else value[: SHOWN - 1] + "…"
