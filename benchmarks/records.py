"""Fills hidden cells and finds swapped ones in a catalogue of titles, against TF-IDF with gradient boosting.

    python benchmarks/records.py --data FILE --seeds 3 --json build/bench/records.json

FILE is a table with the columns `type`, `rating`, `listed_in` and others with text. Fill: the cells of each
of the three (of `listed_in` the first word of its list, the rest of the cell hidden too) are recovered
from the rest of the record. Swap: cells of the three change places between records (5%), in what is learnt
from as in what is judged, and each cell is scored by 1 - p(what it says | the rest). The seed draws a
fifth of the records as test, the swaps and the training.

The baseline: words and pairs of words of the record as text, TF-IDF, 200 directions of SVD, gradient
boosting (scikit-learn's histogram trees), one model for each column. BERT: one model for all columns,
masked-cell training.

Memory (Linux only): the peak of `python -m utils.records report` on a table of 1,000 rows and of 100,000.
"""

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from race import mean_and_spread, peak_memory, write
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import accuracy_score, average_precision_score, f1_score
from sklearn.pipeline import make_pipeline

from utils import models
from utils.finetuning import Recipe
from utils.profile import device, set_threads
from utils.records import as_text, spoiling
from utils.records.filling import doubt, learn_to_fill
from utils.tables import Table, TableError, write_csv

CATEGORIES = ("type", "rating", "listed_in")
LEFT_OUT = ("show_id",)
SWAPPED = 0.05
DIRECTIONS = 200


class Trees:
    """The baseline, with the doors of `filling.Filler`."""

    def __init__(self, records: list[dict], fields: tuple[str, ...], seed: int):
        self.fields, self.models = fields, {}
        for category in CATEGORIES:
            there = [record for record in records if record[category] is not None]
            model = make_pipeline(
                TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
                TruncatedSVD(DIRECTIONS, random_state=seed),
                HistGradientBoostingClassifier(random_state=seed, early_stopping=True),
            )
            self.models[category] = model.fit(self._texts(there, category), [r[category] for r in there])

    @property
    def values(self) -> dict[str, tuple[str, ...]]:
        return {category: tuple(model.classes_) for category, model in self.models.items()}

    def probabilities(self, records: list[dict], category: str) -> np.ndarray:
        return self.models[category].predict_proba(self._texts(records, category))

    def _texts(self, records: list[dict], category: str) -> list[str]:
        return [as_text(record | {category: None}, self.fields) for record in records]


def read(path: Path, rows: int) -> tuple[list[dict], tuple[str, ...]]:
    """Return the records, `listed_in` cut to its first entry, and the fields."""
    table = Table(path)
    if missing := [name for name in CATEGORIES if name not in table.columns]:
        raise TableError(f"{path}: no column {missing[0]!r}: give the catalogue of titles.")
    records = list(table.rows())
    for record in records:
        record["listed_in"] = record["listed_in"] and record["listed_in"].split(",")[0]
    order = np.random.default_rng(0).permutation(len(records))[: rows or None]
    return [records[n] for n in order], tuple(name for name in table.columns if name not in LEFT_OUT)


def fill_scores(system, test: list[dict], category: str) -> dict[str, float]:
    """Return accuracy and macro F1, in percent, of the likeliest value."""
    there = [record for record in test if record[category] is not None]
    values, truth = system.values[category], [record[category] for record in there]
    guesses = [values[n] for n in system.probabilities(there, category).argmax(1)]
    return {
        "accuracy": 100 * accuracy_score(truth, guesses),
        "macro F1": 100
        * f1_score(truth, guesses, average="macro", labels=sorted(set(truth)), zero_division=0),
    }


def swap_score(system, test: list[dict], changed: np.ndarray, category: str) -> float:
    """Return the average precision, in percent, with which the swapped cells of a column are found."""
    found = system.probabilities(test, category)
    doubts = doubt(found, system.values[category], [record[category] for record in test])
    return 100 * average_precision_score(changed, doubts)


def systems(records: list[dict], fields: tuple[str, ...], options, seed: int):
    """Yield (name, trained system, seconds)."""
    recipe = Recipe(
        epochs=options.epochs,
        batch_size=16,
        learning_rate=2e-4,
        head_learning_rate=2e-3,
        frozen_layers=options.frozen,
        max_length=options.max_length,
        seed=seed,
    )
    makers = {
        "TF-IDF + trees": lambda: Trees(records, fields, seed),
        "BERT": lambda: learn_to_fill(records, fields, CATEGORIES, recipe),
    }
    for name, make in makers.items():
        start = time.perf_counter()
        system = make()
        yield name, system, time.perf_counter() - start


def race(options) -> list[dict]:
    """Run both tasks with each seed; write each run as soon as it is done."""
    set_threads()
    records, fields = read(options.data, options.rows)
    runs: list[dict] = []
    for seed in range(options.seeds):
        order = np.random.default_rng(seed).permutation(len(records))
        test, train = ([records[n] for n in part] for part in np.split(order, [len(order) // 5]))
        for task in options.tasks:
            changed = None
            if task == "swap":
                train, _ = spoiling.swap(train, CATEGORIES, SWAPPED, seed)
                test, changed = spoiling.swap(test, CATEGORIES, SWAPPED, seed + 1)
            for name, system, seconds in systems(train, fields, options, seed):
                for column, category in enumerate(CATEGORIES):
                    scores = (
                        fill_scores(system, test, category)
                        if changed is None
                        else {"average precision": swap_score(system, test, changed[:, column], category)}
                    )
                    run = {"task": task, "column": category, "system": name, "seed": seed, "seconds": seconds}
                    runs.append(run | scores)
                    told = "  ".join(f"{metric} {value:5.1f}" for metric, value in scores.items())
                    print(f"{task:<5} {category:<10} {name:<15} seed {seed}  {told}", flush=True)
                write(options.json, report(options, runs))
    return runs


def memory(options) -> dict:
    """Return the peak memory, in MiB, of a report on a short table and on a long one of the same rows."""
    records, fields = read(options.data, 0)
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for rows in options.memory_rows:
            repeated = ({field: records[n % len(records)][field] for field in fields} for n in range(rows))
            write_csv(folder / f"{rows}.csv", repeated)
        words = [str(folder / f"{min(options.memory_rows)}.csv"), "--output", str(folder / "model")]
        peak_memory("utils.records", ["learn", *words, "--rows", "500"])
        for rows in options.memory_rows:
            words = [str(folder / f"{rows}.csv"), "--model", str(folder / "model")]
            peaks[rows] = peak_memory(
                "utils.records", ["report", *words, "--output", str(folder / "report.csv")]
            )
            print(f"memory {rows:>9,} rows {peaks[rows]:8.0f} MiB", flush=True)
    first, last = (peaks[rows] for rows in options.memory_rows)
    return {"peak_mib": peaks, "growth": last / first - 1}


def report(options, runs: list[dict]) -> dict:
    settings = {key: value for key, value in vars(options).items() if key not in ("data", "json")}
    return {"settings": settings | {"device": str(device())}, "runs": runs}


def table_of(runs: list[dict]) -> str:
    """Return a row for each task, column and metric: both systems' mean and spread, and who is ahead."""
    lines = [f"{'task':<6}{'column':<11}{'metric':<19}{'TF-IDF + trees':>16}{'BERT':>16}  ahead"]
    for task, column in dict.fromkeys((run["task"], run["column"]) for run in runs):
        rows = [run for run in runs if (run["task"], run["column"]) == (task, column)]
        for metric in ("accuracy", "macro F1", "average precision"):
            values = {
                name: [row[metric] for row in rows if row["system"] == name and metric in row]
                for name in ("TF-IDF + trees", "BERT")
            }
            if all(values.values()):
                means = {name: statistics.mean(found) for name, found in values.items()}
                shown = "".join(f"{mean_and_spread(found):>16}" for found in values.values())
                lines.append(f"{task:<6}{column:<11}{metric:<19}{shown}  {max(means, key=means.get)}")
    return "\n".join(lines)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the catalogue, .parquet, .csv or .xlsx")
    parser.add_argument("--tasks", nargs="*", default=["fill", "swap"], choices=["fill", "swap"])
    parser.add_argument("--memory", action="store_true", help="measure the memory of a report too (long)")
    parser.add_argument("--memory-rows", type=int, nargs=2, default=[1000, 100_000])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=0, help="records to draw; 0 for all")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--frozen", type=int, default=3, help="layers that do not learn")
    parser.add_argument("--max-length", type=int, default=128, help="word pieces of a record")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    options = parser.parse_args(words)
    if options.rows < 0 or min(options.seeds, options.epochs) < 1:
        parser.error("--rows must be 0 or more, --seeds and --epochs 1 or more")
    try:
        runs = race(options)
        if options.memory:
            write(options.json, report(options, runs) | {"memory": memory(options)})
    except (TableError, models.ModelError) as error:
        print(error, file=sys.stderr)
        return 2
    print(table_of(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
