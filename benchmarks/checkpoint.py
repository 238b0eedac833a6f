"""Fine-tunes a small BERT on GLUE tasks and prints mean and spread over seeds beside published ones.

    HF_HUB_CACHE=… HF_HUB_OFFLINE=1 python benchmarks/checkpoint.py --seeds 3 --json build/bench/checkpoint.json

All layers learn, in pairs with segments, a mean-pooled head; the same settings for every task but the
number of epochs. Scores are those of the last epoch on the dev split (MRPC: its original test split).
Published figures are Google's for GLUE's own test server, each the best of twelve settings.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from race import write
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import f1_score, matthews_corrcoef
from torch.nn import functional as F

from utils import data, models
from utils.finetuning import batches_by_length, collate, predict
from utils.profile import SettingError, device, seed_everything, set_threads

# Google's README of Turc et al., 2019: BERT-Tiny and BERT-Mini, in percent
PUBLISHED = {
    "sst2": ("accuracy", 83.2, 85.9),
    "rte": ("accuracy", 57.2, 57.9),
    "mrpc": ("F1", 81.1, 81.1),
    "stsb": ("Pearson", 74.3, 75.4),
    "cola": ("Matthews", 0.0, 0.0),
}
EPOCHS = {"sst2": 3, "rte": 6, "mrpc": 6, "stsb": 6, "cola": 6}


def columns_of(task: str) -> tuple[tuple[str, ...], str, int]:
    """Return the text columns of a task, its label column and the number of outputs."""
    source = data.SOURCES[task]
    return source.text, source.label, len(source.labels) or 1


def encode(tokenizer, rows, columns: tuple[str, ...], label: str, max_length: int) -> list[dict]:
    texts = [list(rows[column]) for column in columns]
    encoded = tokenizer(*texts, truncation=True, max_length=max_length)
    return [
        {"input_ids": ids, "token_type_ids": types, "labels": value}
        for ids, types, value in zip(
            encoded["input_ids"], encoded["token_type_ids"], rows[label], strict=True
        )
    ]


def train(model, rows: list[dict], epochs: int, options, seed: int) -> None:
    """AdamW, a tenth of warm-up, then down in a line; batches of like length in random order."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.01)
    batches = batches_by_length(rows, options.batch_size)
    total, random = epochs * len(batches), np.random.default_rng(seed)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / (0.1 * total), (total - step) / (0.9 * total))
    )
    model.train()
    for _ in range(epochs):
        for number in random.permutation(len(batches)):
            batch = collate([rows[index] for index in batches[number]])
            batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
            labels = batch.pop("labels")
            logits = model(**batch).logits
            regression = logits.shape[1] == 1
            loss = F.mse_loss(logits[:, 0], labels.float()) if regression else F.cross_entropy(logits, labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


def score(metric: str, logits: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the task's published metrics in percent, the first named one first."""
    if metric == "Pearson":
        guesses = logits[:, 0]
        return {
            "Pearson": 100 * pearsonr(guesses, labels)[0],
            "Spearman": 100 * spearmanr(guesses, labels)[0],
        }
    guesses = logits.argmax(1)
    found = {"accuracy": 100 * float((guesses == labels).mean())}
    if metric == "F1":
        found = {"F1": 100 * f1_score(labels, guesses)} | found
    if metric == "Matthews":
        found = {"Matthews": 100 * matthews_corrcoef(labels, guesses)} | found
    return found


def run(task: str, seed: int, options) -> dict:
    """Fine-tune on one task with one seed and score it."""
    seed_everything(seed)
    columns, label, outputs = columns_of(task)
    tokenizer, model = models.load("classification", str(options.model), num_labels=outputs)
    loaded = data.load(task)
    test = loaded["validation" if "validation" in loaded else "test"]
    limit = min(options.max_length, model.config.max_position_embeddings)
    rows = [encode(tokenizer, part, columns, label, limit) for part in (loaded["train"], test)]
    if outputs == 1:
        with torch.no_grad():
            model.classifier.bias.fill_(float(np.mean([row["labels"] for row in rows[0]])))
    start = time.perf_counter()
    train(model.to(device()), rows[0], options.epochs or EPOCHS[task], options, seed)
    seconds = time.perf_counter() - start
    labels = np.array([row["labels"] for row in rows[1]])
    return {"task": task, "seed": seed, "seconds": seconds} | score(
        PUBLISHED[task][0], predict(model, rows[1]), labels
    )


def summary(runs: list[dict]) -> list[dict]:
    """Return a row a task: its metric, mean and standard deviation over seeds, the published figures."""
    rows = []
    for task in dict.fromkeys(run["task"] for run in runs):
        metric, tiny, mini = PUBLISHED[task]
        scores = [run[metric] for run in runs if run["task"] == task]
        spread = statistics.stdev(scores) if len(scores) > 1 else 0.0
        rows.append(
            {
                "task": task,
                "metric": metric,
                "mean": statistics.mean(scores),
                "std": spread,
                "tiny": tiny,
                "mini": mini,
            }
        )
    return rows


def table(runs: list[dict]) -> str:
    lines = [f"{'task':<8}{'metric':<10}{'mean ± std':>16}{'BERT-Tiny':>12}{'BERT-Mini':>12}"]
    for row in summary(runs):
        score = f"{row['mean']:.2f} ± {row['std']:.2f}"
        lines.append(
            f"{row['task']:<8}{row['metric']:<10}{score:>16}{row['tiny']:>12.1f}{row['mini']:>12.1f}"
        )
    return "\n".join(lines)


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=models.COURSE_CHECKPOINT)
    parser.add_argument("--tasks", nargs="+", default=list(PUBLISHED), choices=PUBLISHED)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, help="in place of each task's own number")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--json", type=Path, help="write every run to this file")
    options = parser.parse_args(words)
    set_threads()
    data.datasets.disable_progress_bars()
    runs = []
    try:
        for seed in range(options.seeds):
            for task in options.tasks:
                runs.append(run(task, seed, options))
                print(
                    {key: round(v, 2) if isinstance(v, float) else v for key, v in runs[-1].items()},
                    flush=True,
                )
                settings = {key: str(value) for key, value in vars(options).items()}
                write(options.json, {"settings": settings, "runs": runs})
    except (data.DataError, models.ModelError, SettingError) as error:
        print(error, file=sys.stderr)
        return 2
    print(table(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
