"""Counts the shop's data sets, scores the classical baselines on them, and writes both into their cards.

`python tools/cards.py`, after a change of anything under data/. Takes about a minute.
"""

import sys
from collections import Counter
from collections.abc import Callable

import baselines
import numpy as np
from course import replace_text
from datasets import DatasetDict
from notebook_runs import ROOT
from readme import replace_block

from utils import data
from utils.schemas import SPLITS

SIZES = (400, 600, None)  # training rows of the baseline for sentiment; None takes all
SEEDS = range(5)


def main() -> int:
    for name in COUNTED:
        path = ROOT / "data" / name / "CARD.md"
        text = path.read_text(encoding="utf-8")
        text = replace_block(path, text, "counts", counts(name, data.load(name)))
        text = replace_block(path, text, "baseline", BASELINES[name]())
        replace_text(path, text)
        print(f"Wrote {path.relative_to(ROOT).as_posix()}.", flush=True)
    return 0


# -------------------------------------------------------------------------------------------- counts


def column(name: str) -> Callable[[dict], list]:
    """Return a function from a row to its values in a column; a list has several."""
    return lambda row: row[name] if isinstance(row[name], list) else [row[name]]


def different(name: str) -> Callable[[dict], list]:
    """As `column`, but every value counts once in a split; the table shows one line for all."""
    return lambda row: [("different", row[name])]


COUNTED = {
    "reviews": {
        **{name: column(name) for name in ("language", "sentiment", "stars", "category", "style")},
        "product": different("product"),
    },
    "tickets": {
        **{
            name: column(name)
            for name in ("language", "team", "category", "channel", "priority", "tags", "complete", "origin")
        },
        "shortfall": lambda row: [shortfall.split(":")[1] for shortfall in row["shortfalls"]],
        "falls short, natural": lambda row: (
            ["yes"] if (row["complete"], row["origin"]) == ("no", "natural") else []
        ),
        "customer": different("customer"),
    },
    "handbook": {
        "answer": lambda row: ["yes" if row["answers"]["text"] else "none"],
        "passage": different("context"),
        "passage of more than 400 words": lambda row: (
            [("different", row["context"])] if len(row["context"].split()) > 400 else []
        ),
    },
    "entities": {
        "language": column("language"),
        "type": lambda row: [span["type"] for span in row["entities"]] or ["none"],
        "entity": lambda row: [
            ("different", row["text"][span["start"] : span["end"]].lower()) for span in row["entities"]
        ],
    },
    "translations": {
        "English words in a pair": lambda row: [len(row["en"].split())],
        "English word": lambda row: [("different", word) for word in row["en"].split()],
        "French word": lambda row: [("different", word) for word in row["fr"].split()],
    },
}


def counts(name: str, loaded: DatasetDict) -> str:
    """Return a table of how many rows each split has, in all and by what COUNTED says."""
    lines = ["| column | value | train | validation | test | all |", "|---|---|---:|---:|---:|---:|"]
    lines.append(_line("all", "", [loaded.num_rows[split] for split in SPLITS]))
    for title, values in COUNTED[name].items():
        found = [Counter(value for row in loaded[split] for value in values(row)) for split in SPLITS]
        if any(isinstance(value, tuple) for each in found for value in each):
            together = len(set().union(*found))
            lines.append(_line(title, "different ones", [len(each) for each in found], together))
            continue
        for value in sorted(set().union(*found), key=lambda value: (type(value) is str, value)):
            lines.append(_line(title, value, [each[value] for each in found]))
    return "\n".join(lines)


def _line(title: str, value, numbers: list[int], together: int | None = None) -> str:
    total = sum(numbers) if together is None else together
    return f"| {title} | {value} | {' | '.join(f'{number:,}' for number in [*numbers, total])} |"


# ----------------------------------------------------------------------------------------- baselines


def review_table() -> str:
    lines = ["| training rows | validation accuracy | test accuracy |", "|---|---|---|"]
    for size in SIZES:
        scores = [baselines.sentiment(size, seed) for seed in (SEEDS if size else (0,))]
        mean, spread = np.mean(scores, axis=0), np.std(scores, axis=0)
        cells = [f"{m:.1f}% ± {s:.1f}" if size else f"{m:.1f}%" for m, s in zip(mean, spread, strict=True)]
        lines.append(f"| {size or 'all'} | {' | '.join(cells)} |")
    return "\n".join(lines)


def ticket_table() -> str:
    lines = [
        "| task | baseline | unseen products (`tickets`) | at random (`tickets_random`) |",
        "|---|---|---:|---:|",
    ]
    splits = ("tickets", "tickets_random")
    for what, whole in (("title and description", False), ("all fields", True)):
        cells = " | ".join(f"{baselines.team(name, whole):.1f}" for name in splits)
        lines.append(f"| team, accuracy in % | TF-IDF on {what} | {cells} |")
    by_split = [baselines.completeness(name) for name in splits]
    for method in by_split[0]:
        baseline, kind = method.split(", ")
        cells = " | ".join(f"{each[method]:.1f}" for each in by_split)
        lines.append(f"| falls short ({kind}), average precision in % | {baseline} | {cells} |")
    return "\n".join(lines)


def handbook_table() -> str:
    lines = [
        "| baseline | split | exact match | F1 | F1 with an answer | F1 without |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for title, score in (("most shared words", baselines.handbook), ("never answers", baselines.silence)):
        for split in ("validation", "test"):
            found = score(split)
            keys = ("exact_match", "f1", "has_answer_f1", "no_answer_f1")
            lines.append(f"| {title} | {split} | {' | '.join(f'{found[key]:.1f}' for key in keys)} |")
    return "\n".join(lines)


def entity_table() -> str:
    lines = ["| split | precision | recall | F1 | surface forms not in train |", "|---|---:|---:|---:|---:|"]
    for split in ("validation", "test"):
        found = [*baselines.entity_dictionary(split).values(), baselines.unseen_share(split)]
        lines.append(f"| {split} | {' | '.join(f'{value:.1f}' for value in found)} |")
    return "\n".join(lines)


def translation_table() -> str:
    lines = ["| baseline | split | BLEU | exactly right |", "|---|---|---:|---:|"]
    for split in ("validation", "test"):
        found = baselines.word_by_word(split)
        lines.append(f"| word by word | {split} | {found['bleu']:.1f} | {found['exact']:.1f}% |")
    return "\n".join(lines)


BASELINES = {
    "reviews": review_table,
    "tickets": ticket_table,
    "handbook": handbook_table,
    "entities": entity_table,
    "translations": translation_table,
}


if __name__ == "__main__":
    sys.exit(main())
