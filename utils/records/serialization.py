"""Structured records with fields of text: a record as one text, and the rules that count what is missing.

Not for training (`finetuning`), and not for reading tables (`tables`).
"""

from collections.abc import Sequence

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


def as_text_within(record: dict, tokenizer, max_length: int, fields: Sequence[str] = FIELDS) -> str:
    """Return `as_text`, its longest values cut so that it has at most `max_length` word pieces.

    A short field stays whole however long another one is: each keeps its share (`field_shares`). [CLS]
    and [SEP] count; a value is cut between two word pieces.

    Raises:
        ValueError: the names of the fields alone take all the room.
    """
    fields = tuple(fields)
    frame = len(tokenizer(as_text(dict.fromkeys(fields), fields))["input_ids"])
    if frame >= max_length:
        raise ValueError(
            f"the names of {len(fields)} fields take {frame} of {max_length} word pieces: choose fewer fields "
            "or a greater length."
        )
    values = [str(record[field] or "") for field in fields]
    coded = tokenizer(values, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    offsets = coded["offset_mapping"]
    shares = field_shares([len(pieces) for pieces in offsets], max_length - frame)
    kept = {
        field: value if share == len(pieces) else value[: pieces[share - 1][1] if share else 0]
        for field, value, pieces, share in zip(fields, values, offsets, shares, strict=True)
    }
    return as_text(kept, fields)


def field_shares(lengths: Sequence[int], room: int) -> list[int]:
    """Part `room` among fields: none above one common cap, the highest with which all fit together."""
    shares = [0] * len(lengths)
    for place, index in enumerate(sorted(range(len(lengths)), key=lengths.__getitem__)):
        shares[index] = min(lengths[index], room // (len(lengths) - place))
        room -= shares[index]
    return shares


def missing_score(record: dict, fields: tuple[str, ...] = FIELDS) -> int:
    """Return how many fields are null, plus how many texts of a sentence are shorter than SHORT words.

    The classical rule for completeness: not null and not short. It reads nothing.
    """
    nulls = sum(record[field] is None for field in fields)
    texts = ("title", "description", "steps_tried", "expected_outcome")
    return nulls + sum(len(record[field].split()) < SHORT for field in texts if record[field] is not None)
