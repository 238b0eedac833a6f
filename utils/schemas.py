"""What a row of the course's own data must look like, and the readers that name a bad one.

Not for public data sets; `data` checks those by their row counts.
"""

import json
import re
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


def _tokens(low: int, high: int) -> Callable:
    """Lower case, words parted by one blank, the final sign a word of its own."""

    def check(value) -> str | None:
        good = isinstance(value, str) and value == " ".join(value.lower().split())
        good = good and low <= len(value.split()) <= high and re.fullmatch(r".* [.?]", value)
        return None if good else f"expected {low} to {high} words in lower case, '.' or '?' the last of them"

    return check


def _text_or_null(low: int, high: int) -> Callable:
    return lambda value: None if value is None else _words(low, high)(value)


def _matches(pattern: str, example: str) -> Callable:
    return lambda value: (
        None
        if isinstance(value, str) and re.fullmatch(pattern, value)
        else f"expected text such as {example}"
    )


def _some_of(*allowed: str, at_least: int = 0) -> Callable:
    def check(value) -> str | None:
        good = isinstance(value, list) and len(value) >= at_least and all(v in allowed for v in value)
        return None if good and len(set(value)) == len(value) else f"expected a list of {', '.join(allowed)}"

    return check


def _shortfalls(value) -> str | None:
    parts = [str(v).split(":") for v in value] if isinstance(value, list) else [[]]
    good = all(len(p) == 2 and p[0] in FIELDS and p[1] in REASONS for p in parts)
    return None if good else f"expected a list such as [{FIELDS[0]}:{REASONS[0]}]"


def _spans(value) -> str | None:
    def good(span) -> bool:
        return (
            isinstance(span, dict)
            and set(span) == {"start", "end", "type"}
            and type(span["start"]) is type(span["end"]) is int
            and 0 <= span["start"] < span["end"]
            and span["type"] in ENTITY_TYPES
        )

    if isinstance(value, list) and all(map(good, value)):
        return None
    return f"expected a list of start, end and type (one of {', '.join(ENTITY_TYPES)})"


LANGUAGES = ("en", "de", "fr", "es", "el")
SPLITS = ("train", "validation", "test")
ASPECTS = ("quality", "delivery", "price", "usability", "design", "service")
CATEGORIES = ("kitchen", "lighting", "bedding", "bathroom", "furniture", "garden", "appliances")
STYLES = ("plain", "varied", "literary")  # literary: the verdict is mostly implied, not stated
TEAMS = ("dispatch", "returns", "workshop", "safety", "accounts", "advice", "webshop")
TAGS = (
    "angry",
    "repeat_contact",
    "urgent_date",
    "gift",
    "photo",
    "refund_wanted",
    "replacement_wanted",
    "two_problems",
    "praise",
    "quoted_mail",
)
TICKET_CATEGORIES = (
    "delivery",
    "damaged_or_faulty",
    "return_or_exchange",
    "payment_or_invoice",
    "order_change",
    "product_question",
    "account_or_website",
    "other",
)
FIELDS = (  # the fields of a ticket that can fall short
    "title",
    "description",
    "steps_tried",
    "expected_outcome",
    "product",
    "category",
    "priority",
    "order_number",
    "contact",
    "customer_type",
)
REASONS = ("empty", "says_nothing", "wrong_field", "wrong_language", "contradicts")
ENTITY_TYPES = ("product", "order", "date", "place", "person", "part", "money")

SCHEMAS = {
    "reviews": {
        "review_id": _matches(r"R\d+", "R0001"),
        "product": _words(2, 4),
        "category": _one_of(*CATEGORIES),
        "language": _one_of(*LANGUAGES),
        "title": _words(1, 12),
        "content": _words(1, 150),
        "stars": lambda v: None if type(v) is int and 1 <= v <= 5 else "expected a whole number from 1 to 5",
        "sentiment": _one_of("negative", "positive"),
        "aspects": _some_of(*ASPECTS, at_least=1),
        "style": _one_of(*STYLES),
        "split": _one_of(*SPLITS),
    },
    "tickets": {
        "ticket_id": _matches(r"T\d{4}", "T0001"),
        "created": _matches(r"20\d\d-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d", "2025-03-14T09:12"),
        "channel": _one_of("web_form", "email", "chat", "phone_note"),
        "language": _one_of(*LANGUAGES),
        "customer": _matches(r"C\d{4}", "C0001"),
        "customer_type": _one_of("private", "business", "gift_recipient"),
        "product": _text_or_null(1, 70),
        "category": _one_of(*TICKET_CATEGORIES),
        "priority": _one_of("low", "normal", "high"),
        "order_number": _text_or_null(1, 60),
        "title": _text_or_null(1, 200),
        "description": _text_or_null(1, 200),
        "steps_tried": _text_or_null(1, 200),
        "expected_outcome": _text_or_null(1, 200),
        "contact": _text_or_null(1, 70),
        "team": _one_of(*TEAMS),
        "tags": _some_of(*TAGS),
        "complete": _one_of("yes", "no"),
        "shortfalls": _shortfalls,
        "origin": _one_of("natural", "injected"),
        "split": _one_of(*SPLITS),
        "random_split": _one_of(*SPLITS),
    },
    "translations": {
        "pair_id": _matches(r"P\d{4}", "P0001"),
        "en": _tokens(4, 10),
        "fr": _tokens(4, 12),
        "split": _one_of(*SPLITS),
    },
    "entities": {
        "sentence_id": _matches(r"S\d{4}", "S0001"),
        "ticket_id": _matches(r"T\d{4}", "T0001"),
        "language": _one_of(*LANGUAGES),
        "text": _words(1, 200),
        "entities": _spans,
        "split": _one_of(*SPLITS),
    },
}


# ------------------------------------------------------------- what the columns of one row say together


def _ticket(row: dict) -> tuple[str, str] | None:
    """A ticket is complete if nothing falls short; a field that is said to be empty is null."""
    if (row["complete"] == "yes") != (row["shortfalls"] == []):
        return "complete", f"expected 'yes' without shortfalls and 'no' with some, got {row['complete']!r}"
    if row["origin"] == "injected" and row["complete"] == "yes":
        return "origin", "expected 'natural' for a complete record, got 'injected'"
    for shortfall in row["shortfalls"]:
        name, reason = shortfall.split(":")
        if (reason == "empty") != (row[name] is None):
            return "shortfalls", f"expected 'empty' where {name} is null and only there, got {shortfall!r}"
    return None


def _sentence(row: dict) -> tuple[str, str] | None:
    """Spans lie inside the text, do not overlap, and neither begin nor end with white space."""
    end = 0
    for span in row["entities"]:
        surface = row["text"][span["start"] : span["end"]]
        if span["start"] < end or span["end"] > len(row["text"]) or surface != surface.strip():
            return "entities", f"expected ordered spans inside the text and without blanks, got {span!r}"
        end = span["end"]
    return None


ROW_CHECKS = {"tickets": _ticket, "entities": _sentence}


def read_jsonl(path: Path, schema: dict[str, Callable], row_check: Callable | None = None) -> list[dict]:
    """Return the rows of a JSON Lines file; each row has exactly the columns of `schema`.

    `schema` maps a column to a function that returns None or what was expected; `row_check` looks at
    a row's columns together and returns None or (column, problem).

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
        if row_check and (found := row_check(row)):
            raise DataError(f"{path.name}, row {number}, column {found[0]!r}: {found[1]}.")
        rows.append(row)
    return rows


def read_squad(path: Path) -> list[dict]:
    """Return the questions of a file in SQuAD v2 JSON as rows: id, title, context, question, answers.

    `answers` has the lists `text` and `answer_start` (in characters), empty if there is no answer
    (Rajpurkar et al., 2018).

    Raises:
        DataError: with file, question and column of the first bad value.
    """
    try:
        articles = json.loads(path.read_text(encoding="utf-8"))["data"]
        rows = [
            _question(path.name, article["title"], paragraph["context"], question)
            for article in articles
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        ]
    except UnicodeDecodeError as error:
        raise DataError(f"{path.name}: not UTF-8 at byte {error.start}: save the file as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path.name}: not JSON ({error.msg} at line {error.lineno}).") from None
    except (KeyError, TypeError) as error:
        raise DataError(f"{path.name}: not SQuAD v2 JSON: {error} is missing or of the wrong type.") from None
    return rows


def _question(file: str, title: str, context: str, question: dict) -> dict:
    name, answers = question["id"], question["answers"]

    def refuse(column: str, problem: str):
        raise DataError(f"{file}, question {name!r}, column {column!r}: {problem}.")

    if not context.strip():
        refuse("context", "expected text, got nothing")
    if not question["question"].strip():
        refuse("question", "expected text, got nothing")
    if question["is_impossible"] != (answers == []):
        refuse("is_impossible", "expected true without answers and false with some")
    for answer in answers + question.get("plausible_answers", []):
        text, start = answer["text"], answer["answer_start"]
        if not text.strip() or context[start : start + len(text)] != text:
            refuse("answers", f"expected {text!r} at character {start} of the context")
    found = {
        "text": [answer["text"] for answer in answers],
        "answer_start": [answer["answer_start"] for answer in answers],
    }
    return {
        "id": name,
        "title": title,
        "context": context,
        "question": question["question"],
        "answers": found,
    }
