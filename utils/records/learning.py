"""Learns to judge the cells of a table, from labels or from the table itself, and keeps what was learnt.

Not for reading tables (`tables`), nor for what a report says (`reporting`).
"""

import json
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score

from utils import finetuning, models
from utils.finetuning import Recipe
from utils.profile import device
from utils.records import cells, decisions, spoiling
from utils.tables import Row, Table

FEWEST = 50  # records; below, nothing can be learnt and measured
HELD_OUT = 0.15  # part of the records
SETTINGS = "records.json"
RECIPE = Recipe(
    epochs=3, batch_size=16, learning_rate=2e-4, head_learning_rate=2e-3, max_length=192, frozen_layers=3
)


class RecordsError(ValueError):
    """A table cannot be learnt from; the message is one line that says what is wrong, where, what to do."""


@dataclass(frozen=True)
class Settings:
    """What a judge needs besides its weights. `scores`: 101 quantiles of the records' scores, 0 to 100%."""

    fields: tuple[str, ...]
    kinds: tuple[str, ...]
    max_length: int
    labelled: bool
    scores: tuple[float, ...]
    measured: dict


@dataclass
class Judge:
    """A BERT that has learnt a table: `probabilities` of FINE and each kind for each cell."""

    tokenizer: object
    model: object
    settings: Settings

    def probabilities(self, records: Sequence[dict]) -> np.ndarray:
        """Return (records, fields, 1 + kinds), FINE first."""
        rows = cells.encode(self.tokenizer, records, self.settings.fields, self.settings.max_length)
        return cells.judge(self.model, rows)

    def threshold(self, budget: float) -> float:
        """Return the score from which on a record is reviewed if a part `budget` of them is to be."""
        return decisions.budget_threshold(np.array(self.settings.scores), budget)

    def save(self, folder: Path) -> None:
        """Write the judge to `folder`, whole or not at all.

        Raises:
            RecordsError: something else is in the folder.
        """
        check_new(folder)
        unfinished = folder.with_name(folder.name + ".part")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        self.model.save_pretrained(unfinished)
        self.tokenizer.save_pretrained(unfinished)
        (unfinished / SETTINGS).write_text(json.dumps(asdict(self.settings), indent=1))
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)

    @classmethod
    def load(cls, folder: Path) -> "Judge":
        """Read a judge that `save` wrote.

        Raises:
            RecordsError: the folder holds none.
        """
        if not (folder / SETTINGS).is_file():
            raise RecordsError(f"{folder}: no model of `learn` in it: name the folder that `learn` wrote.")
        facts = json.loads((folder / SETTINGS).read_text())
        facts |= {name: tuple(facts[name]) for name in ("fields", "kinds", "scores")}
        tokenizer, model = models.load("token-classification", str(folder))
        return cls(tokenizer, model.to(device()).eval(), Settings(**facts))


def learn(
    table: Table,
    fields: Sequence[str] = (),
    labels: str | None = None,
    rows: int = 3000,
    recipe: Recipe = RECIPE,
) -> Judge:
    """Learn to judge the cells of a table from at most `rows` of its records, drawn at random.

    Args:
        fields: columns to judge; by default all that have anything in them but `labels`.
        labels: a column that says what falls short, as `field:reason; field:reason`, empty where nothing
            does. Without it the judge learns from cells that are spoiled on purpose (`spoiling`).

    Raises:
        RecordsError: an unknown column, a label that names none, too few records, too many fields.
    """
    for name in (*fields, *([labels] if labels else [])):
        if name not in table.columns:
            raise RecordsError(f"{table.path}: no column {name!r}: it has {', '.join(table.columns)}.")
    records = sample(table.rows(), rows, recipe.seed)
    fields = tuple(fields) or _filled(table, records, labels)
    if len(records) < FEWEST:
        raise RecordsError(
            f"{table.path}: {len(records)} records are too few to learn from: give {FEWEST} or more."
        )
    held_out = records[: round(HELD_OUT * len(records))]
    seen = records[len(held_out) :]
    if labels:
        truth = [parse_labels(record[labels], fields, table.path) for record in records]
        kinds = tuple(sorted({kind for found in truth for kind in found.values()}))
        if not kinds:
            raise RecordsError(
                f"{table.path}: column {labels!r} is empty in every record: there is nothing to learn."
            )
        parts, recipe_of_run = [(seen, truth[len(held_out) :])], recipe
        measured_on, measured_truth = held_out, truth[: len(held_out)]
    else:
        kinds = spoiling.KINDS
        parts = [spoiling.spoil(seen, fields, recipe.seed + epoch) for epoch in range(recipe.epochs)]
        recipe_of_run = replace(recipe, epochs=1)  # each epoch has shortfalls of its own
        measured_on, measured_truth = spoiling.spoil(held_out, fields, recipe.seed + recipe.epochs)
    tokenizer, model = cells.new_judge(recipe, (cells.FINE, *kinds))
    length = finetuning.within_positions(model, recipe.max_length)
    numbers = {kind: number for number, kind in enumerate(kinds, 1)}
    try:
        encoded = [
            row
            for some, found in parts
            for row in cells.encode(tokenizer, some, fields, length, _numbered(found, numbers))
        ]
    except ValueError as error:
        raise RecordsError(f"{table.path}: {error} (--fields)") from None
    finetuning.train(model, encoded, recipe_of_run)
    judge = Judge(tokenizer, model, Settings(fields, kinds, length, bool(labels), (), {}))
    found = judge.probabilities(held_out)
    quantiles = np.quantile(decisions.record_score(found), np.linspace(0, 1, 101)).tolist()
    if measured_on is not held_out:
        found = judge.probabilities(measured_on)
    measured = _measure(found, measured_truth, fields)
    judge.settings = replace(judge.settings, scores=tuple(quantiles), measured=measured)
    return judge


def check_new(folder: Path) -> None:
    """Raises RecordsError where something is in `folder` already."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RecordsError(f"{folder} is there already: name a new folder, so that nothing is lost.")


def sample(rows: Iterable[Row], size: int, seed: int) -> list[Row]:
    """Return `size` of the rows, each with the same chance, in random order (Vitter, 1985, algorithm R)."""
    draw, kept = np.random.default_rng(seed), []
    for number, row in enumerate(rows):
        if number < size:
            kept.append(row)
        elif (place := draw.integers(number + 1)) < size:
            kept[place] = row
    return [kept[index] for index in draw.permutation(len(kept))]


def parse_labels(cell: str | None, fields: Sequence[str], where: object) -> dict[str, str]:
    """Read `field:reason; field` to {field: reason}; without a reason it is "doubtful".

    Raises:
        RecordsError: a name that is none of `fields`.
    """
    found = {}
    for word in re.split(r"[;,|]", (cell or "").strip("[]")):
        name, _, kind = (part.strip(" \t'\"") for part in word.partition(":"))
        if name and name not in fields:
            raise RecordsError(
                f"{where}: the label {word.strip()!r} names no field: write the column's name, as in "
                f"{fields[0]}:empty, and nothing where all is well."
            )
        if name:
            found[name] = kind or "doubtful"
    return found


def _filled(table: Table, records: list[Row], labels: str | None) -> tuple[str, ...]:
    """The columns with anything in them; what is left out is told in the table's notes."""
    kept = []
    for column in table.columns:
        if column == labels:
            continue
        if any(record[column] is not None for record in records):
            kept.append(column)
        else:
            table.tell(f"column {column!r} is empty in every record and is left out")
    return tuple(kept)


def _numbered(found: list[dict[str, str]], numbers: dict[str, int]) -> list[dict[str, int]]:
    return [{field: numbers[kind] for field, kind in marks.items()} for marks in found]


def _measure(probabilities: np.ndarray, truth: list[dict[str, str]], fields: Sequence[str]) -> dict:
    """Return the average precision, in percent, of records and of cells, beside the share that chance gives."""
    doubts = decisions.doubt(probabilities)
    short = np.array([[field in marks for field in fields] for marks in truth])
    if not short.any():
        return {"records": len(truth)}
    return {
        "records": len(truth),
        "falling short": 100 * float(short.any(1).mean()),
        "average precision": 100 * float(average_precision_score(short.any(1), doubts.max(1))),
        "cells falling short": 100 * float(short.mean()),
        "average precision of cells": 100 * float(average_precision_score(short.ravel(), doubts.ravel())),
    }
