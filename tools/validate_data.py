"""Checks the course's own data sets: schema, offsets, label sets, leaks between splits, near-duplicates.

`python tools/validate_data.py [FOLDER]` checks data/, or FOLDER laid out like it. Prints a line for
each set. Exit status 0: all is well; 1: something is wrong, one line each; 2: no such folder.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
from build_data import manifest, read, tickets
from sklearn.feature_extraction.text import CountVectorizer

from utils import data, schemas
from utils.entities import from_bio, to_bio

SAME = 0.5  # Jaccard similarity of character 5-grams above which two texts are near-duplicates


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0]) if arguments else data.FOLDER
    if not folder.is_dir():
        print(f"{folder}: no such folder: give a folder that is laid out like data/.", file=sys.stderr)
        return 2
    data.FOLDER = folder.resolve()
    wrong = list(manifest_problems())
    for name, check in CHECKS.items():
        problems = list(checked(name, check))
        wrong += problems
        print(f"{name}: {f'{len(problems)} problems' if problems else 'ok'}")
    for problem in wrong:
        print(problem, file=sys.stderr)
    return 1 if wrong else 0


def checked(name: str, check) -> Iterator[str]:
    """Yield the problems of one set; a file that cannot be read is one problem."""
    try:
        yield from (f"{name}: {problem}" for problem in check())
    except (data.DataError, FileNotFoundError, json.JSONDecodeError) as error:
        yield f"{name}: {error}"


def manifest_problems() -> Iterator[str]:
    path = data.FOLDER / "MANIFEST.sha256"
    if not path.is_file() or path.read_text() != manifest(data.FOLDER):
        yield "MANIFEST.sha256 does not fit the files: run tools/build_data.py, or restore them."


# ------------------------------------------------------------------------------------- the data sets


def review_problems() -> Iterator[str]:
    rows = rows_of("reviews")
    yield from repeated("review_id", rows)
    yield from missing_labels(rows, "sentiment", ("negative", "positive"))
    yield from shared("product", rows)
    yield from near_duplicates(rows, "review_id", lambda row: f"{row['title']} {row['content']}")


def ticket_problems() -> Iterator[str]:
    catalogue = json.loads((data.FOLDER / "tickets" / "catalogue.json").read_text(encoding="utf-8"))
    for name in ("tickets", "tickets_random"):
        rows = rows_of(name)
        yield from repeated("ticket_id", rows)
        for column, labels in (("team", schemas.TEAMS), ("language", schemas.LANGUAGES)):
            yield from missing_labels(rows, column, labels)
        yield from near_duplicates(rows, "ticket_id", ticket_text)
    rows = rows_of("tickets")
    yield from shared("customer", rows)
    for entry in catalogue:
        for row in rows:
            strays = [product for product in entry["products"] if product in ticket_text(row)]
            if row["split"] != entry["split"] and strays:
                yield f"ticket {row['ticket_id']} of {row['split']} names {strays[0]} of {entry['split']}."
    built = tickets(read(data.FOLDER / "tickets" / "written.jsonl"), catalogue)
    if built != read(data.FOLDER / "tickets" / "tickets.jsonl"):
        yield "tickets.jsonl is not what written.jsonl gives: run tools/build_data.py."
    incomplete = [row["origin"] for row in rows if row["complete"] == "no"]
    if incomplete.count("natural") < 0.25 * len(incomplete):
        yield "fewer than 25% of the incomplete tickets fall short naturally."


def handbook_problems() -> Iterator[str]:
    rows = rows_of("handbook")
    yield from repeated("id", rows)
    yield from shared("context", rows)
    yield from shared("title", rows)
    passages = {row["context"]: row for row in rows}
    for context, row in passages.items():
        if not 80 <= len(context.split()) <= 600:
            yield f"passage {row['title']!r} has {len(context.split())} words; expected 80 to 600."
    for row in rows:
        if row["split"] == "test" and len(row["answers"]["text"]) not in (0, 3):
            yield f"question {row['id']} of test has {len(row['answers']['text'])} answers; expected 3."
    for split in schemas.SPLITS:
        silent = [row["answers"]["text"] == [] for row in rows if row["split"] == split]
        if sum(silent) < 0.25 * len(silent):
            yield f"fewer than 25% of the questions of {split} are without an answer."
    yield from near_duplicates(list(passages.values()), "title", lambda row: row["context"])
    yield from near_duplicates(rows, "id", lambda row: row["question"])


def entity_problems() -> Iterator[str]:
    rows = rows_of("entities")
    by_id = {row["ticket_id"]: row for row in rows_of("tickets")}
    yield from repeated("sentence_id", rows)
    for row in rows:
        ticket = by_id.get(row["ticket_id"], {"split": None, "title": "", "description": ""})
        if row["split"] != ticket["split"] or row["text"] not in (ticket["description"] or ""):
            yield f"sentence {row['sentence_id']} is not one of ticket {row['ticket_id']}, or of another split."
        try:
            if from_bio(*to_bio(row["text"], row["entities"])) != row["entities"]:
                yield f"sentence {row['sentence_id']}: its tags do not give its spans back."
        except ValueError as error:
            yield f"sentence {row['sentence_id']}: {error}"
    for split in schemas.SPLITS:
        types = {span["type"] for row in rows if row["split"] == split for span in row["entities"]}
        for kind in sorted(set(schemas.ENTITY_TYPES) - types):
            yield f"{split} has no entity of type {kind}."
    yield from near_duplicates(rows, "sentence_id", lambda row: row["text"])


def translation_problems() -> Iterator[str]:
    """No sentence twice, no word of test that train does not have, and the example of notebook 12 unseen."""
    rows = rows_of("translations")
    yield from repeated("pair_id", rows)
    yield from repeated("en", rows)
    for language in ("en", "fr"):
        known = {word for row in rows if row["split"] == "train" for word in row[language].split()}
        for row in rows:
            if unknown := set(row[language].split()) - known:
                yield f"pair {row['pair_id']}: no pair of train has {' or '.join(sorted(unknown))!r}."
    for row in rows:
        if "is a lovely cat" in row["en"]:
            yield f"pair {row['pair_id']} gives away the example that notebook 12 keeps for its test."


CHECKS = {
    "reviews": review_problems,
    "tickets": ticket_problems,
    "handbook": handbook_problems,
    "entities": entity_problems,
    "translations": translation_problems,
}


# ----------------------------------------------------------------------------------------- the checks


def rows_of(name: str) -> list[dict]:
    """Return the rows of all splits of a set, each with its split."""
    return [row | {"split": split} for split, part in data.load(name).items() for row in part]


def ticket_text(row: dict) -> str:
    """Return all that the customer wrote, one field after the other."""
    names = ("product", "title", "description", "steps_tried", "expected_outcome")
    return " ".join(row[name] for name in names if row[name])


def repeated(column: str, rows: list[dict]) -> Iterator[str]:
    for value, count in Counter(row[column] for row in rows).items():
        if count > 1:
            yield f"{column} {value} occurs {count} times."


def shared(column: str, rows: list[dict]) -> Iterator[str]:
    """Yield the values of `column` that occur in more than one split."""
    splits: dict[str, set] = {}
    for row in rows:
        splits.setdefault(row[column], set()).add(row["split"])
    for value, where in splits.items():
        if len(where) > 1:
            yield f"{column} {value[:60]!r} is in {' and '.join(sorted(where))}."


def missing_labels(rows: list[dict], column: str, labels: Iterable[str]) -> Iterator[str]:
    for split in schemas.SPLITS:
        for label in sorted(set(labels) - {row[column] for row in rows if row["split"] == split}):
            yield f"{split} has no row with {column} {label!r}."


def near_duplicates(rows: list[dict], name: str, text) -> Iterator[str]:
    """Yield the pairs of texts in two splits whose similarity is above SAME."""
    for one, other in combinations(schemas.SPLITS, 2):
        first, second = ([row for row in rows if row["split"] == split] for split in (one, other))
        near = similarity(list(map(text, first)), list(map(text, second)))
        for i, j in np.argwhere(near > SAME):
            pair = f"{first[i][name]} of {one} and {second[j][name]} of {other}"
            yield f"{pair} are near-duplicates ({near[i, j]:.2f})."


def similarity(texts: list[str], others: list[str]) -> np.ndarray:
    """Return the Jaccard similarity of the character 5-grams of every text with every other.

    Exact, where MinHash (Broder, 1997) estimates it: a few thousand short texts need no estimate.
    """
    grams = CountVectorizer(analyzer="char", ngram_range=(5, 5), binary=True, dtype=np.int32)
    counts = grams.fit_transform(texts + others)
    a, b = counts[: len(texts)], counts[len(texts) :]
    both = (a @ b.T).toarray()
    return both / np.maximum(1, a.sum(1).reshape(-1, 1) + b.sum(1).reshape(1, -1) - both)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
