"""Counts the shop's reviews, scores the classical baseline on them, and writes both into data/reviews/CARD.md.

`python tools/card.py`, after a change of data/reviews/reviews.jsonl. Takes some seconds.
"""

import sys
from collections import Counter

import numpy as np
from course import replace_text
from datasets import Dataset, DatasetDict
from notebook_runs import ROOT
from readme import replace_block
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from utils import data

SPLITS = ("train", "validation", "test")
COLUMNS = ("language", "sentiment", "stars", "category", "style", "product")
SIZES = (400, 600, None)  # training rows of the baseline; None takes all
SEEDS = range(5)


def main() -> int:
    path = ROOT / "data" / "reviews" / "CARD.md"
    reviews = data.load_classification("reviews")
    text = path.read_text(encoding="utf-8")
    text = replace_block(path, text, "counts", counts(reviews))
    text = replace_block(path, text, "baseline", baseline(reviews))
    replace_text(path, text)
    print(f"Wrote {path.relative_to(ROOT).as_posix()}.")
    return 0


def counts(reviews: DatasetDict) -> str:
    """Return a table of how many reviews each split has, in all and by the values of COLUMNS."""
    rows = [("all", "", [Counter({"": reviews.num_rows[split]}) for split in SPLITS])]
    for column in COLUMNS:
        found = [Counter(reviews[split][column]) for split in SPLITS]
        if column == "product":
            found = [Counter({"different ones": len(each)}) for each in found]
        values = sorted(set().union(*found), key=lambda value, found=found: (type(value) is str, value))
        rows += [(column, value, found) for value in values]
    lines = ["| column | value | train | validation | test | all |", "|---|---|---:|---:|---:|---:|"]
    for column, value, found in rows:
        numbers = [each[value] for each in found]
        cells = " | ".join(f"{number:,}" for number in [*numbers, sum(numbers)])
        lines.append(f"| {column} | {value} | {cells} |")
    return "\n".join(lines)


def baseline(reviews: DatasetDict) -> str:
    """Return a table of the accuracy of TF-IDF with logistic regression on the English reviews."""
    train, validation, test = (data.where(reviews[split], language="en") for split in SPLITS)
    lines = ["| training rows | validation accuracy | test accuracy |", "|---|---|---|"]
    for size in SIZES:
        scores = []
        for seed in SEEDS if size else (0,):
            model = fit(data.sample(train, size or len(train), seed))
            scores.append(
                [model.score(list(part["text"]), list(part["label"])) for part in (validation, test)]
            )
        mean, spread = 100 * np.mean(scores, axis=0), 100 * np.std(scores, axis=0)
        cells = [f"{m:.1f}% ± {s:.1f}" if size else f"{m:.1f}%" for m, s in zip(mean, spread, strict=True)]
        lines.append(f"| {size or f'all {len(train):,}'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def fit(rows: Dataset):
    """Train the baseline on the `text` and `label` of `rows`."""
    model = make_pipeline(TfidfVectorizer(sublinear_tf=True), LogisticRegression(C=10, max_iter=1000))
    return model.fit(list(rows["text"]), list(rows["label"]))


if __name__ == "__main__":
    sys.exit(main())
