"""Structured records with fields of text: which cells fall short, learnt with labels or from the table itself.

`serialization`: a record as one text. `cells`: a BERT that judges each cell. `spoiling`: shortfalls made on
purpose, to learn from. `decisions`: what to review. `learning` and `reporting`: what the command does,
`python -m utils.records learn|report`.
"""

from utils.records.serialization import FIELDS, as_text, as_text_within, field_shares, missing_score

__all__ = ["FIELDS", "as_text", "as_text_within", "field_shares", "missing_score"]
