"""Structured records with fields of text: a record as one text, and the rules that count what is missing.

Not for training (`finetuning`).
"""

FIELDS = (
    "channel",
    "language",
    "customer_type",
    "product",
    "category",
    "priority",
    "order_number",
    "title",
    "description",
    "steps_tried",
    "expected_outcome",
    "contact",
)
SHORT = 3  # words; a field of text with fewer counts as too short


def as_text(record: dict, fields: tuple[str, ...] = FIELDS) -> str:
    """Return a record as `[COL] field [VAL] value …`, in the order of `fields`; null gives no value.

    The form of Ditto (Li et al., 2020, section 2.2).
    """
    return " ".join(f"[COL] {field} [VAL] {record[field] or ''}".rstrip() for field in fields)


def missing_score(record: dict, fields: tuple[str, ...] = FIELDS) -> int:
    """Return how many fields are null, plus how many texts of a sentence are shorter than SHORT words.

    The classical rule for completeness: not null and not short. It reads nothing.
    """
    nulls = sum(record[field] is None for field in fields)
    texts = ("title", "description", "steps_tried", "expected_outcome")
    return nulls + sum(len(record[field].split()) < SHORT for field in texts if record[field] is not None)
