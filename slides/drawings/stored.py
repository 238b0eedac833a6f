"""What a notebook's run has left: the tables and lines of its stored outputs, for figures of long trainings.

A figure that reads them agrees with the notebook, also after the next run. Not for what a drawing can compute.
"""

import functools
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd

NOTEBOOKS = Path(__file__).resolve().parents[2] / "notebooks"


class _Rows(HTMLParser):
    """Collects the text of all cells of a table that pandas wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open = False
        self.below = (0, "")  # rows that the first cell still spans, and its text

    def handle_starttag(self, tag: str, attributes: list) -> None:
        if tag == "tr":
            left, text = self.below
            self.rows.append([text] if left else [])
            self.below = (max(left - 1, 0), text)
        self.open = tag in ("td", "th")
        if self.open:
            self.rows[-1] += [""] * int(dict(attributes).get("colspan", 1))
            self.spans = int(dict(attributes).get("rowspan", 1))

    def handle_endtag(self, tag: str) -> None:
        self.open = False

    def handle_data(self, text: str) -> None:
        if self.open:
            self.rows[-1][-1] += text
            if self.spans > 1:
                self.below = (self.spans - 1, text)


@functools.cache
def _outputs(number: str) -> tuple[list[str], str]:
    """The HTML of all tables of notebook NN, and all its printed text."""
    [path] = NOTEBOOKS.glob(f"{number}_*.ipynb")
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    pages = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    printed = "".join("".join(output.get("text", "")) for output in outputs)
    return [page for page in pages if "<table" in page], printed


def table(number: str, *words: str) -> pd.DataFrame:
    """Return the only stored table of notebook NN that holds all these words; the first column is the index.

    A head of two levels becomes one: the column ("accuracy", "mean") is "accuracy mean".

    Raises:
        LookupError: there is none, or more than one: the notebook has changed.
    """
    found = []
    for page in _outputs(number)[0]:
        parser = _Rows()
        parser.feed(page)
        if all(any(word == cell.strip() for row in parser.rows for cell in row) for word in words):
            found.append((parser.rows, page.split("</thead>")[0].count("<tr")))
    if len(found) != 1:
        raise LookupError(f"notebook {number} has {len(found)} stored tables with {words}: name other words.")
    rows, heads = found[0]
    for head in rows[:heads]:  # of a head over several columns only the last cell got the words
        for place in reversed(range(len(head) - 1)):
            if heads > 1 and not head[place] and place:
                head[place] = head[place + 1]
    columns = [" ".join(filter(None, names)) for names in zip(*rows[:heads], strict=True)]
    body = pd.DataFrame([row[1:] for row in rows[heads:]], [row[0] for row in rows[heads:]], columns[1:])
    return body.apply(lambda column: pd.to_numeric(column, errors="coerce").fillna(column))


def numbers(number: str, pattern: str) -> list[float]:
    """Return the groups of the first match of `pattern` in what notebook NN has printed.

    Raises:
        LookupError: nothing matches: the notebook has changed.
    """
    match = re.search(pattern, _outputs(number)[1])
    if match is None:
        raise LookupError(f"notebook {number} has printed nothing like {pattern!r}: read it again.")
    return [float(group.replace(",", "")) for group in match.groups()]
