"""What a row of the course's own data must look like, and the reader that names a bad one.

Not for public data sets; `data` checks those by their row counts.
"""

import json
from collections.abc import Callable
from pathlib import Path


class DataError(RuntimeError):
    """A data set cannot be had or is wrong; the message names file, row and column, and the remedy."""


def _one_of(*allowed: str) -> Callable:
    return lambda value: None if value in allowed else f"expected one of {', '.join(allowed)}"


def _words(low: int, high: int) -> Callable:
    def check(value) -> str | None:
        count = len(value.split()) if isinstance(value, str) else 0
        return None if low <= count <= high else f"expected text of {low} to {high} words"

    return check


ASPECTS = ("quality", "delivery", "price", "usability", "design", "service")
CATEGORIES = ("kitchen", "lighting", "bedding", "bathroom", "furniture", "garden", "appliances")
STYLES = ("plain", "varied", "literary")  # literary: the verdict is mostly implied, not stated
SCHEMAS = {
    "reviews": {
        "review_id": lambda v: (
            None if isinstance(v, str) and v[:1] == "R" and v[1:].isdigit() else "expected R and digits"
        ),
        "product": _words(2, 4),
        "category": _one_of(*CATEGORIES),
        "language": _one_of("en", "de", "fr", "es", "el"),
        "title": _words(1, 12),
        "content": _words(1, 150),
        "stars": lambda v: None if type(v) is int and 1 <= v <= 5 else "expected a whole number from 1 to 5",
        "sentiment": _one_of("negative", "positive"),
        "aspects": lambda v: (
            None
            if isinstance(v, list) and v and all(aspect in ASPECTS for aspect in v)
            else f"expected a list of {', '.join(ASPECTS)}"
        ),
        "style": _one_of(*STYLES),
        "split": _one_of("train", "validation", "test"),
    },
}


def read_jsonl(path: Path, schema: dict[str, Callable]) -> list[dict]:
    """Return the rows of a JSON Lines file; each row has exactly the columns of `schema`.

    `schema` maps a column to a function that returns None or what was expected.

    Raises:
        DataError: with file, row (from 1) and column of the first bad value.
    """
    rows = []
    try:
        # Not splitlines(): a text may hold separators of its own, such as U+2028.
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: not UTF-8 at byte {error.start}: save the file as UTF-8.") from None
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(
                f"{path.name}, row {number}: not JSON ({error.msg} at character {error.pos})."
            ) from None
        if not isinstance(row, dict) or set(row) != set(schema):
            wrong = sorted(set(schema) ^ set(row)) if isinstance(row, dict) else list(schema)
            raise DataError(
                f"{path.name}, row {number}, column {wrong[0]!r}: missing or not known to the schema."
            )
        for column, check in schema.items():
            if problem := check(row[column]):
                raise DataError(
                    f"{path.name}, row {number}, column {column!r}: {problem}, got {row[column]!r}."
                )
        rows.append(row)
    return rows
