"""A BERT that judges the cells of a record: one label for each field, read where the field begins.

The record goes through BERT once, as `[COL] field [VAL] value …`; the state at a field's [COL] has seen
this field and all others. It is a token classifier whose labels stand at [COL] alone. Not for making
labels (`spoiling`), nor for what to do with the probabilities (`decisions`).
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.special import softmax

from utils import finetuning
from utils.finetuning import Recipe
from utils.records.serialization import as_text_within
from utils.tagger import predict

FINE = "fine"  # the first label: nothing is wrong with the cell
MARKS = ("[COL]", "[VAL]")


def new_judge(recipe: Recipe, labels: Sequence[str], name: str | None = None) -> tuple:
    """Return (tokenizer, model) that tell apart `labels` at each [COL].

    [COL] and [VAL] become one word piece each, with the mean of the embeddings of those they were.
    """
    tokenizer, model = finetuning.new_model("token-classification", recipe, labels, name)
    pieces = [tokenizer(mark, add_special_tokens=False)["input_ids"] for mark in MARKS]
    tokenizer.add_special_tokens({"additional_special_tokens": list(MARKS)})
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    table = model.get_input_embeddings().weight
    with torch.no_grad():
        for mark, ids in zip(MARKS, pieces, strict=True):
            table[tokenizer.convert_tokens_to_ids(mark)] = table[ids].mean(0)
    return tokenizer, model.freeze(model.frozen_layers)  # the new table of embeddings too


def encode(
    tokenizer,
    records: Sequence[dict],
    fields: Sequence[str],
    max_length: int,
    labels: Sequence[dict[str, int]] | None = None,
) -> list[dict]:
    """Turn records into rows of `input_ids` and `cells`, the place of each field's [COL].

    Args:
        labels: for each record the number of the label of the fields that are not fine; gives
            `token_labels`, -100 at every token but [COL].
    """
    mark, rows = tokenizer.convert_tokens_to_ids(MARKS[0]), []
    for number, record in enumerate(records):
        clean = {field: _without_marks(record[field]) for field in fields}
        ids = tokenizer(as_text_within(clean, tokenizer, max_length, fields))["input_ids"]
        row = {"input_ids": ids, "cells": [place for place, piece in enumerate(ids) if piece == mark]}
        if labels is not None:
            row["token_labels"] = [-100] * len(ids)
            for field, place in zip(fields, row["cells"], strict=True):
                row["token_labels"][place] = labels[number].get(field, 0)
        rows.append(row)
    return rows


def judge(model, rows: list[dict]) -> np.ndarray:
    """Return the probability of each label, FINE first, for each cell: (records, fields, labels)."""
    logits = predict(model, rows)
    return softmax(np.stack([scored[row["cells"]] for scored, row in zip(logits, rows, strict=True)]), -1)


def _without_marks(value: str | None) -> str | None:
    """Return a value in which nobody can forge the start of a field."""
    for mark in MARKS if value else ():
        value = value.replace(mark, mark.strip("[]"))
    return value
