"""Clusters 20 Newsgroups without its labels and prints V-measure over seeds, for each way to make vectors.

    python benchmarks/clustering.py --data FOLDER --seeds 3 --json build/bench/clustering.json

FOLDER holds train.parquet and test.parquet with the columns `text` (the whole message) and `group`; both
are taken. Two tasks: the subject line alone ("Re:" cut off, each line once a group), and the full text
(subject and body, without the other header lines, which name the sender's site). k-means with k = the
number of groups; a seed decides the starts of k-means. Vectors are of length 1 before k-means;
"whitened to 64" keeps the 64 strongest directions, with the same variance in each; "strongest 64" leaves
their variance as it is; "with 10 neighbours" averages each vector with the 10 nearest.

Published for all-MiniLM-L6-v2 on subject lines: 46.5 (MTEB, Muennighoff et al., 2023), with MTEB's own
samples of the same messages and mini-batch k-means, so a difference of a point says little.
"""

import argparse
import re
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from race import mean_and_spread, write
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from utils import clustering, embedding, models
from utils.profile import MINILM, device, set_threads

MAX_LENGTH = {"subject": 64, "full": 256}  # word pieces
PUBLISHED = 46.5
GOAL = 46.0
POOLINGS = {  # name -> (pooling, layers); the first is MiniLM's own
    "mean": ("mean", 1),
    "[CLS]": ("cls", 1),
    "max": ("max", 1),
    "mean of the last 2 layers": ("mean", 2),
    "mean of the last 4 layers": ("mean", 4),
}
WHITENED = (256, 128, 64, 32)
STRONGEST = 64
NEIGHBOURS = 10


class DataProblem(ValueError):
    """The folder of --data is not what it should be; the message is one line."""


def read(folder: Path) -> pd.DataFrame:
    """Return the messages of both splits, columns `text` and `group`."""
    parts = []
    for split in ("train", "test"):
        path = folder / f"{split}.parquet"
        try:
            parts.append(pd.read_parquet(path, columns=["text", "group"]))
        except Exception as error:  # no file, no Parquet, no such column: pyarrow raises many kinds
            reason = str(error).splitlines()[0]
            raise DataProblem(
                f"{path}: cannot be read ({reason}): give the folder of 20 Newsgroups."
            ) from None
    return pd.concat(parts, ignore_index=True)


def subject(message: str) -> str:
    """Return the subject line of a message's header without "Re:" and the like; "" if it has none."""
    found = re.search(r"(?mi)^subject:[ \t]*(.*)$", message.partition("\n\n")[0])
    return re.sub(r"(?i)^(?:\s*(?:re|fwd?)\s*(?:\[\d+\])?\s*:)+", "", found[1]).strip() if found else ""


def texts_of(messages: pd.DataFrame, task: str) -> pd.DataFrame:
    """Return the texts of a task, columns `text` and `group`: none empty, none twice in a group."""
    subjects = messages["text"].map(subject)
    texts = subjects
    if task == "full":
        bodies = messages["text"].map(lambda message: message.partition("\n\n")[2])
        texts = (subjects + "\n" + bodies).str.strip()
    table = pd.DataFrame({"text": texts, "group": messages["group"]})
    return table[table["text"] != ""].drop_duplicates(ignore_index=True)


def variants(texts: list[str], max_length: int, options) -> dict[str, Callable[[], np.ndarray]]:
    """Return a function for each way to make vectors (texts, hidden), in the order of the table."""
    kept = {}

    def bert(pooling: str) -> np.ndarray:
        if pooling not in kept:
            raw = clustering.embed(texts, *POOLINGS[pooling], name=options.model, max_length=max_length)
            kept[pooling] = clustering.normalize(raw)
        return kept[pooling]

    def whitened(dimensions: int) -> np.ndarray:
        return clustering.normalize(clustering.whiten(bert("mean"), dimensions))

    def strongest() -> np.ndarray:
        return clustering.normalize(PCA(STRONGEST, random_state=0).fit_transform(bert("mean")))

    def with_neighbours() -> np.ndarray:
        index = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(bert("mean"))  # each is its own nearest
        near = index.kneighbors(bert("mean"), return_distance=False)  # (n, 11)
        return clustering.normalize(sum(bert("mean")[column] for column in near.T))  # (n, hidden)

    ways = {"TF-IDF + SVD": lambda: embedding.tfidf_vectors(texts)}
    ways |= {name: lambda name=name: bert(name) for name in POOLINGS}
    ways |= {f"mean, whitened to {size}": lambda size=size: whitened(size) for size in WHITENED}
    ways |= {
        f"mean, strongest {STRONGEST}": strongest,
        f"mean, with {NEIGHBOURS} neighbours": with_neighbours,
    }
    return {name: way for name, way in ways.items() if not options.only or name in options.only}


def race(options) -> list[dict]:
    """Score each way to make vectors with each seed; print and write each run as soon as it is done."""
    set_threads()
    messages, runs = read(options.data), []
    for task in options.tasks:
        table = texts_of(messages, task)
        if options.rows:
            table = table.sample(min(len(table), options.rows), random_state=0, ignore_index=True)
        groups = table["group"].to_numpy()
        max_length = options.max_length or MAX_LENGTH[task]
        for name, way in variants(table["text"].tolist(), max_length, options).items():
            start = time.perf_counter()
            vectors = way()
            embedding_seconds = time.perf_counter() - start
            for seed in range(options.seeds):
                runs.append(score(task, name, seed, vectors, groups, options.restarts))
                runs[-1]["embedding_seconds"] = embedding_seconds
                print(f"{task:<8} {name:<28} seed {seed}  V {runs[-1]['v_measure']:6.2f}", flush=True)
                write(options.json, report(options, runs))
    return runs


def score(task: str, name: str, seed: int, vectors: np.ndarray, groups: np.ndarray, restarts: int) -> dict:
    start = time.perf_counter()
    found = clustering.k_means(vectors, len(set(groups)), seed, restarts)
    seconds = time.perf_counter() - start
    run = {"task": task, "vectors": name, "seed": seed, "texts": len(groups), "seconds": seconds}
    return run | clustering.scores(groups, found.labels)


def report(options, runs: list[dict]) -> dict:
    settings = {key: value for key, value in vars(options).items() if key not in ("data", "json")}
    return {"settings": settings | {"device": str(device())}, "published": PUBLISHED, "runs": runs}


def table_of(runs: list[dict]) -> str:
    """Return a row for each task and way: V-measure as mean and spread over seeds, purity, adjusted Rand."""
    lines = [f"{'task':<9}{'vectors':<30}{'texts':>7}{'V-measure':>16}{'purity':>9}{'ARI':>8}"]
    for task, name in dict.fromkeys((run["task"], run["vectors"]) for run in runs):
        rows = [run for run in runs if (run["task"], run["vectors"]) == (task, name)]
        values = {key: [row[key] for row in rows] for key in ("v_measure", "purity", "adjusted_rand")}
        means = {key: statistics.mean(column) for key, column in values.items()}
        v = mean_and_spread(values["v_measure"])
        lines.append(
            f"{task:<9}{name:<30}{rows[0]['texts']:>7}{v:>16}{means['purity']:>9.2f}{means['adjusted_rand']:>8.2f}"
        )
    return "\n".join(lines)


def verdict(runs: list[dict], model: str) -> str:
    """Say whether MiniLM's own pooling reaches the goal on all subject lines; "" where that was not run."""
    own = [r["v_measure"] for r in runs if (r["task"], r["vectors"]) == ("subject", "mean")]
    if not own or model != MINILM:
        return ""
    mean = statistics.mean(own)
    return f"MiniLM on subject lines: {mean:.2f}, at least {GOAL:g}: {mean >= GOAL} (published: {PUBLISHED})"


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train.parquet and test.parquet")
    parser.add_argument("--tasks", nargs="+", default=list(MAX_LENGTH), choices=MAX_LENGTH)
    parser.add_argument("--model", default=MINILM, help="Hub id or folder of a BERT, such as one trained on")
    parser.add_argument("--only", nargs="+", help="some ways to make vectors, as the table names them")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--restarts", type=int, default=10, help="of k-means")
    parser.add_argument("--rows", type=int, default=0, help="texts to draw; 0 for all")
    parser.add_argument("--max-length", type=int, help="word pieces, in place of each task's own")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    options = parser.parse_args(words)
    if options.rows < 0 or min(options.seeds, options.restarts) < 1:
        parser.error("--rows must be 0 or more, and --seeds and --restarts 1 or more")
    if unknown := set(options.only or ()) - set(variants([], 0, argparse.Namespace(only=None))):
        parser.error(f"--only: there is no way called {' or '.join(sorted(unknown))} here")
    try:
        runs = race(options)
    except (ValueError, models.ModelError) as error:
        print(error, file=sys.stderr)
        return 2
    print(table_of(runs))
    if options.rows == 0 and (said := verdict(runs, options.model)):
        print(said)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
