"""One page on a learner's progress over all notebooks, as text and as HTML."""

import html
import json
import os
from dataclasses import dataclass
from pathlib import Path

from utils import checks
from utils.profile import ROOT

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>The BERT workshop: my progress</title>
<style>
body {{ font: 16px/1.4 sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse; width: 100% }}
th, td {{ text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #bbb; vertical-align: top }}
td.open {{ color: #555; font-size: .85rem }}
</style>
<h1>The BERT workshop: my progress</h1>
<p>{total}</p>
{notice}<table>
<tr><th scope="col">Notebook</th><th scope="col">Solved</th><th scope="col">Last solved</th><th scope="col">Still open</th></tr>
{rows}
</table>
</html>
"""


@dataclass(frozen=True)
class Notebook:
    """A notebook's exercises {name: title}, and those of them that are solved {name: when}."""

    title: str
    exercises: dict[str, str]
    done: dict[str, str]

    @property
    def last(self) -> str:
        return max(self.done.values(), default="")

    @property
    def open(self) -> list[str]:
        return [f"{name} {title}" for name, title in self.exercises.items() if name not in self.done]


def notebooks() -> list[Notebook]:
    """Return all notebooks that have exercises, in the course's order."""
    numbers = sorted(path.stem[-2:] for path in Path(__file__).parent.glob("notebook_[0-9][0-9].py"))
    done = checks.solved()
    found = []
    for number in numbers:
        titles = {name: exercise.title for name, exercise in checks.exercises(number).items()}
        solved = {name: when for name, when in done.items() if name in titles}
        found.append(Notebook(title_of(number), titles, solved))
    return found


def title_of(number: str) -> str:
    """Return the first line of notebook "06": "06 Classification"; its number alone if it cannot be read."""
    try:
        path = next((ROOT / "notebooks").glob(f"{number}_*.ipynb"))
        cell = json.loads(path.read_text(encoding="utf-8"))["cells"][0]
        return "".join(cell["source"]).splitlines()[0].removeprefix("# ")
    except (StopIteration, OSError, ValueError, LookupError):
        return number


def total(books: list[Notebook]) -> str:
    done, of = sum(len(book.done) for book in books), sum(len(book.exercises) for book in books)
    finished = sum(not book.open for book in books)
    return f"{done} of {of} exercises solved; {finished} of {len(books)} notebooks are complete."


def as_text(books: list[Notebook]) -> str:
    """Return the page as lines of text."""
    width = max(len(book.title) for book in books)
    lines = []
    for book in books:
        marks = "#" * len(book.done) + "." * len(book.open)
        count = f"{len(book.done)} of {len(book.exercises)}"
        lines.append(f"{book.title:<{width}}  {marks:<6} {count:<7} {book.last}".rstrip())
    return "\n".join([*lines, "", total(books)])


def as_html(books: list[Notebook], notice: str = "") -> str:
    """Return the page as HTML that needs nothing else."""
    rows = []
    for book in books:
        cells = [f"<td>{len(book.done)} of {len(book.exercises)}</td>", f"<td>{html.escape(book.last)}</td>"]
        cells.append(f'<td class="open">{"<br>".join(map(html.escape, book.open)) or "none"}</td>')
        rows.append(f'<tr><th scope="row">{html.escape(book.title)}</th>{"".join(cells)}</tr>')
    notice = f"<p>{html.escape(notice)}</p>\n" if notice else ""
    return PAGE.format(total=total(books), notice=notice, rows="\n".join(rows))


def write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)
