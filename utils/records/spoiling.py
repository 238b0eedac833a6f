"""Shortfalls made on purpose: good cells of a table spoiled in ways that are known, to learn from or to test with.

Works on any table, without a label: the model learns to find what was done. Not for judging (`cells`).
"""

from collections.abc import Sequence

import numpy as np

KINDS = ("empty", "says_nothing", "wrong_field", "contradicts")
SAYS_NOTHING = (
    *(
        "see above",
        "see description",
        "as discussed",
        "as usual",
        "tbd",
        "to be confirmed",
        "n/a",
        "none",
        "?",
    ),
    *(
        "unknown",
        "please advise",
        "same as before",
        "test",
        "not sure",
        "various",
        "etc.",
        "you know already",
    ),
    *("siehe oben", "wie besprochen", "unbekannt", "wie immer", "folgt noch", "k. A.", "weiß nicht"),
    *("voir ci-dessus", "comme convenu", "inconnu", "à compléter", "comme d'habitude", "je ne sais pas"),
    *("véase arriba", "como siempre", "desconocido", "por confirmar", "lo de siempre", "no sé"),
    *("βλέπε παραπάνω", "όπως είπαμε", "άγνωστο", "τα γνωστά", "δεν ξέρω", "θα σας πω"),
)
USUALLY_FILLED = 0.8  # a field is expected where at least this part of the records has it
SPOILED = 0.5  # part of the records that get a shortfall; of these every third gets two


def spoil(
    records: Sequence[dict], fields: Sequence[str], seed: int, kinds: Sequence[str] = KINDS
) -> tuple[list[dict], list[dict[str, str]]]:
    """Return copies of the records, about half of them spoiled, and what was done: {field: kind} for each.

    empty: a field that most records have is emptied. says_nothing: a phrase of SAYS_NOTHING in its
    place. wrong_field: what another field of the same record says. contradicts: what the field says
    in another record.
    """
    draw = np.random.default_rng(seed)
    filled = {field: np.mean([record[field] is not None for record in records]) for field in fields}
    spoiled, done = [dict(record) for record in records], [{} for _ in records]
    for record, marks in zip(spoiled, done, strict=True):
        if draw.random() > SPOILED:
            continue
        present = [field for field in fields if record[field] is not None]
        for field in draw.permutation(present)[: 1 + (draw.random() < 1 / 3)]:
            kind = str(draw.choice(kinds))
            if kind == "empty" and filled[field] < USUALLY_FILLED:
                kind = str(draw.choice([kind for kind in kinds if kind != "empty"] or ["empty"]))
            value = _spoiled(record, field, kind, records, present, draw)
            if value != record[field]:
                record[field], marks[str(field)] = value, kind
    return spoiled, done


def _spoiled(record: dict, field: str, kind: str, records, present: list[str], draw) -> str | None:
    if kind == "empty":
        return None
    if kind == "says_nothing":
        return str(draw.choice(SAYS_NOTHING))
    if kind == "wrong_field":
        others = [other for other in present if other != field]
        return record[str(draw.choice(others))] if others else record[field]
    for _ in range(10):  # a value that differs, if the column has more than one
        value = records[draw.integers(len(records))][field]
        if value is not None and value != record[field]:
            return value
    return record[field]


def swap(
    records: Sequence[dict], fields: Sequence[str], share: float, seed: int
) -> tuple[list[dict], np.ndarray]:
    """Exchange cells between pairs of records: return copies, and which cells changed (records, fields).

    At most `share` of the cells of each field change; a pair exchanges values that differ and are there.
    """
    draw = np.random.default_rng(seed)
    copies, changed = [dict(record) for record in records], np.zeros((len(records), len(fields)), bool)
    for column, field in enumerate(fields):
        there = [number for number, record in enumerate(records) if record[field] is not None]
        order, wanted = list(draw.permutation(there)), share * len(there)
        while len(order) > 1 and changed[:, column].sum() + 2 <= wanted:
            one = order.pop()
            partner = next((n for n in reversed(order) if records[n][field] != records[one][field]), None)
            if partner is None:
                continue
            order.remove(partner)
            copies[one][field], copies[partner][field] = records[partner][field], records[one][field]
            changed[[one, partner], column] = True
    return copies, changed
