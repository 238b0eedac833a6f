"""Hidden cells: a BERT that says which value belongs in a category from the rest of the record.

Masked-cell training: in each epoch one category of every record is hidden and must be guessed at its
[COL]. One model serves all categories. Not for judging cells that are there (`cells`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import softmax

from utils import finetuning
from utils.finetuning import Recipe
from utils.records import cells
from utils.tagger import predict


@dataclass
class Filler:
    """What has learnt to fill `values`: for each category its values, in the order of the labels."""

    tokenizer: object
    model: object
    fields: tuple[str, ...]
    values: dict[str, tuple[str, ...]]
    max_length: int

    def probabilities(self, records: Sequence[dict], category: str) -> np.ndarray:
        """Return how likely each of the category's values is, its cell hidden: (records, values)."""
        rows = self.rows(records, [category] * len(records))
        column, first = self.fields.index(category), self.first(category)
        scored = [
            logits[row["cells"][column]] for logits, row in zip(predict(self.model, rows), rows, strict=True)
        ]
        return softmax(np.stack(scored)[:, first : first + len(self.values[category])], axis=-1)

    def rows(self, records: Sequence[dict], hidden: Sequence[str], labels: bool = False) -> list[dict]:
        """Encode the records without their `hidden` category; with `labels` its value is the target."""
        without = [record | {category: None} for record, category in zip(records, hidden, strict=True)]
        rows = cells.encode(self.tokenizer, without, self.fields, self.max_length)
        if not labels:
            return rows
        for row, record, category in zip(rows, records, hidden, strict=True):
            row["token_labels"] = [-100] * len(row["input_ids"])
            place = row["cells"][self.fields.index(category)]
            row["token_labels"][place] = self.first(category) + self.values[category].index(record[category])
        return rows

    def first(self, category: str) -> int:
        """Return the number of the category's first label; the labels of all stand in a row."""
        earlier = list(self.values).index(category)
        return sum(len(values) for values in list(self.values.values())[:earlier])


def learn_to_fill(
    records: Sequence[dict], fields: Sequence[str], categories: Sequence[str], recipe: Recipe
) -> Filler:
    """Learn to fill `categories`, some of `fields`, from records where they are there.

    The loss compares the value with those of all categories; the answer is chosen among its own.
    """
    values = {
        category: tuple(sorted({record[category] for record in records} - {None})) for category in categories
    }
    labels = [f"{category}={value}" for category in categories for value in values[category]]
    tokenizer, model = cells.new_judge(recipe, labels)
    length = finetuning.within_positions(model, recipe.max_length)
    filler = Filler(tokenizer, model, tuple(fields), values, length)
    draw, rows = np.random.default_rng(recipe.seed), []
    for _ in range(recipe.epochs):
        hidden = [
            draw.choice([category for category in categories if record[category] is not None] or [""])
            for record in records
        ]
        chosen = [
            (record, str(category)) for record, category in zip(records, hidden, strict=True) if category
        ]
        rows += filler.rows(*zip(*chosen, strict=True), labels=True)
    finetuning.train(model, rows, replace(recipe, epochs=1))
    return filler


def doubt(probabilities: np.ndarray, values: Sequence[str], told: Sequence[str | None]) -> np.ndarray:
    """Return 1 - p(what each cell says | the rest): (records, values) -> (records,).

    An empty cell has no doubt, a value that was never learnt all of it.
    """
    number = {value: place for place, value in enumerate(values)}
    return np.array(
        [
            0.0 if value is None else 1 - row[number[value]] if value in number else 1.0
            for value, row in zip(told, probabilities, strict=True)
        ]
    )
