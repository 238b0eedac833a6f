"""Races pre-training recipes: transformers' Trainer as it comes, and ours.

    python benchmarks/pretraining.py --minutes 3 --json build/bench/pretraining.json

Same corpus (docs), same vocabulary, same held-out text and masks, same model size, masked language
model only (the stock collator knows no sentence pairs). Parts, all but the last two by default:

  throughput   tokens a second, stock and ours in turns
  quality      how long stock needs to reach our held-out loss after M minutes: its best learning rate
               of three (M minutes each) is run for ten times M, and stopped when it is there. Stock's
               minutes are counted in steps, at the pace of the throughput race, where both took turns:
               a machine that is now fast, now slow cannot favour one of them
  accuracy     held-out masked accuracy of the default command (MLM and NSP) after M minutes
  utilisation  share of the machine's measured matrix-product ceiling that training reaches, by size
  parts        what each part of the recipe brings: each is taken out alone, at so many --tokens
  memory       peak memory with 1 and with 10 times the text
"""

import argparse
import json
import math
import random
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path

import torch
import transformers
from race import peak_memory, stock_arguments, write
from torch.nn import functional as F
from transformers import DataCollatorForLanguageModeling, Trainer, TrainerCallback

from utils.corpus import shop
from utils.pretraining.batches import Batches
from utils.pretraining.loop import HELD_OUT_SEED, pretrain
from utils.pretraining.prepare import prepare
from utils.pretraining.recipe import Recipe
from utils.profile import device, dtype, seed_everything, set_threads

DEFAULT_PARTS = ("throughput", "quality", "accuracy", "utilisation")
STOCK_RATES = (3e-4, 1e-3, 3e-3)
LENGTH, SEQUENCES = 64, 64  # of both recipes in the race


# ------------------------------------------------------------------------------------- contestants


class Chunks(torch.utils.data.Dataset):
    """The corpus joined and cut to chunks with [CLS] and [SEP], as transformers' own example does."""

    def __init__(self, tokens, tokenizer, length: int):
        ids = torch.from_numpy(tokens.read(0).ids.astype("int64"))
        ids = ids[: len(ids) // (length - 2) * (length - 2)].view(-1, length - 2)
        ends = [torch.full((len(ids), 1), i) for i in (tokenizer.cls_token_id, tokenizer.sep_token_id)]
        self.ids = torch.cat([ends[0], ids, ends[1]], dim=1)

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, index):
        return {"input_ids": self.ids[index]}


class Watch(TrainerCallback):
    """Stops a stock run when its time is over or its goal reached; measures it at the end and all `every` steps."""

    def __init__(self, seconds: float, every: int, measure, goal: float | None):
        self.seconds, self.every, self.measure, self.goal = seconds, every, measure, goal
        self.rows, self.outside = [], 0.0  # seconds of measuring, which do not count

    def on_train_begin(self, args, state, control, **_):
        self.start = time.perf_counter()

    def on_step_end(self, args, state, control, model=None, **_):
        now = time.perf_counter()
        spent = now - self.start - self.outside
        over = spent >= self.seconds or state.global_step >= state.max_steps
        if over or (self.every and state.global_step % self.every == 0):
            row = {"step": state.global_step, "seconds": spent} | self.measure(model)
            self.rows.append(row)
            self.outside += time.perf_counter() - now
            over = over or (self.goal is not None and row["loss"] <= self.goal)
        control.should_training_stop = over
        return control


def stock(
    recipe: Recipe, corpus, rate: float, steps: int, seconds: float = math.inf, every: int = 0, goal=None
) -> list[dict]:
    """Train `BertForMaskedLM` with the Trainer in float32; the rate falls in a line over `steps`."""
    tokenizer, tokens = corpus
    seed_everything(recipe.seed)
    config = recipe.bert_config(len(tokenizer)).to_transformers()
    model = transformers.BertForMaskedLM(config)
    watch = Watch(seconds, every, lambda model: held_out(model, corpus), goal)
    with tempfile.TemporaryDirectory() as folder:
        arguments = stock_arguments(
            folder,
            recipe.seed,
            per_device_train_batch_size=SEQUENCES,
            max_steps=steps,
            learning_rate=rate,
            warmup_steps=max(1, steps // 50),
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=Chunks(tokens, tokenizer, LENGTH),
            data_collator=DataCollatorForLanguageModeling(tokenizer),
            callbacks=[watch],
        )
        trainer.remove_callback(transformers.PrinterCallback)
        trainer.train()
    return watch.rows


def ours(recipe: Recipe, corpus) -> tuple[dict, dict]:
    """Return our run's metrics, and its scores on the race's held-out text."""
    tokenizer, tokens = corpus
    with tempfile.TemporaryDirectory() as folder:
        model, metrics = pretrain(recipe, tokens, tokenizer, Path(folder))
    return metrics, held_out(model.to_transformers().to(device()), corpus)


@torch.inference_mode()
def held_out(model, corpus, batches: int = 12) -> dict:
    """Return MLM loss and accuracy of a transformers model on held-out windows: the same for everybody."""
    tokenizer, tokens = corpus
    stream = Batches(tokens, tokenizer, False, HELD_OUT_SEED, "held_out")
    was_training, found = model.training, []
    model.eval()
    for _ in range(batches):
        batch = stream.next(SEQUENCES, LENGTH, 0.15).to(model.device)
        output = model(batch.input_ids)
        logits = output.logits if "logits" in output else output.prediction_logits
        asked = logits.gather(1, batch.positions[..., None].expand(-1, -1, logits.shape[-1])).flatten(0, 1)
        labels = batch.labels.flatten()
        found.append(
            [F.cross_entropy(asked, labels).item(), (asked.argmax(-1) == labels).float().mean().item()]
        )
    model.train(was_training)
    loss, accuracy = torch.tensor(found).mean(0).tolist()
    return {"loss": loss, "accuracy": accuracy}


# ------------------------------------------------------------------------------------------- parts


def race_recipe(minutes: float, seed: int = 0) -> Recipe:
    return Recipe(minutes=minutes, objective="mlm", lengths=((0.0, LENGTH),), seed=seed)


def throughput(options, corpus, report: dict) -> dict:
    """Tokens a second of both, in turns; seconds of measuring on held-out text count for nobody."""
    found = {"stock": [], "ours": []}
    minutes = options.minutes / 6
    for turn in range(options.turns):
        rows = stock(race_recipe(1), corpus, 1e-3, 10**6, seconds=60 * minutes)
        found["stock"].append(rows[-1]["step"] * LENGTH * SEQUENCES / rows[-1]["seconds"])
        metrics, _ = ours(race_recipe(minutes, turn), corpus)
        measuring = sum(
            row["measuring_seconds"] for row in metrics["held_out_history"][:-1]
        )  # last: after it
        found["ours"].append(metrics["tokens"] / (metrics["seconds"] - measuring))
    medians = {name: statistics.median(values) for name, values in found.items()}
    return {"tokens_per_second": found, "ratio": medians["ours"] / medians["stock"]}


def quality(options, corpus, report: dict) -> dict:
    """Our loss after M minutes, stock's at its best rate, and when stock gets there."""
    metrics, goal = ours(race_recipe(options.minutes), corpus)
    faster = (report.get("throughput") or throughput(options, corpus, report))["ratio"]
    steps = round(metrics["tokens"] / faster / (LENGTH * SEQUENCES))  # stock's in our time
    trials = {rate: stock(race_recipe(1), corpus, rate, steps)[-1] for rate in options.stock_rates}
    best = min(trials, key=lambda rate: trials[rate]["loss"])
    long = stock(race_recipe(1), corpus, best, 10 * steps, every=max(1, steps // 4), goal=goal["loss"])
    there = next((row["step"] for row in long if row["loss"] <= goal["loss"]), None)
    return {
        "ours": {"seconds": metrics["seconds"], "tokens": metrics["tokens"]} | goal,
        "stock_steps_in_our_time": steps,
        "stock_after_our_time": {str(rate): row for rate, row in trials.items()},
        "best_rate": best,
        "stock_long": long,
        "times_our_time": there / steps if there else None,  # None: not within ten times
    }


def accuracy(options, corpus, report: dict) -> dict:
    """Held-out masked accuracy of the default command."""
    runs = []
    for seed in range(options.seeds):
        metrics, windows = ours(Recipe(minutes=options.minutes, seed=seed), corpus)
        runs.append(
            {
                "seed": seed,
                "held_out": metrics["held_out"],
                "windows": windows,
                "left": metrics["left_plateau"],
            }
            | {key: metrics[key] for key in ("tokens", "seconds")}
        )
    return {"runs": runs, "mean": statistics.mean(run["held_out"]["accuracy"] for run in runs)}


def utilisation(options, corpus, report: dict) -> dict:
    """FLOPs a second that training needs, over those of a large matrix product, by size."""
    ceiling, found = matrix_ceiling(), {}
    for config in ("tiny", "mini", "small"):
        recipe = replace(race_recipe(options.minutes / 6), config=config)
        metrics, _ = ours(recipe, corpus)
        flops = flops_of_a_token(recipe, len(corpus[0])) * metrics["tokens"] / metrics["seconds"]
        found[config] = {
            "tokens_per_second": metrics["tokens"] / metrics["seconds"],
            "share": flops / ceiling,
        }
    return {"ceiling_gflops": ceiling / 1e9, "sizes": found}


def flops_of_a_token(recipe: Recipe, vocabulary: int) -> float:
    """Return the multiplications and additions that the loss and its gradients need for a token.

    6 for each weight that it meets (2 forwards, 4 backwards). In the last block only the masked tokens
    and [CLS] are more than keys and values.
    """
    layers, width, _, inner = recipe.sizes()
    asked = recipe.mask_rate(0.5) + 1 / LENGTH  # part of the tokens
    whole = 4 * width**2 + 2 * width * inner + 2 * LENGTH * width
    last = 2 * width**2 + asked * (whole - 2 * width**2)
    head = recipe.mask_rate(0.5) * (width**2 + width * vocabulary)
    return 6 * ((layers - 1) * whole + last + head)


def matrix_ceiling(size: int = 2048) -> float:
    """FLOPs a second of a large matrix product in the format of training, the best of five."""
    a = torch.randn(size, size, device=device(), dtype=dtype())
    best = 1e9
    for _ in range(6):
        start = time.perf_counter()
        for _ in range(5):
            a @ a
        if device().type == "cuda":
            torch.cuda.synchronize()
        best = min(best, (time.perf_counter() - start) / 5)
    return 2 * size**3 / best


PARTS = {  # what is taken out, one at a time
    "all of it": {},
    "AdamW for the matrices too": {"optimizer": "adamw"},
    "no frequencies in the head's bias": {"frequency_bias": False},
    "no waves in the positions": {"wave_positions": False},
    "dropout 0.1": {"dropout": 0.1},
    "masking rate 15% throughout": {"mask_rates": (0.15, 0.15)},
    "masking rate 30% falling to 15%": {"mask_rates": (0.3, 0.15)},
    "32 tokens, then 64": {"lengths": ((0.0, 32), (0.5, 64))},
    "128 tokens": {"lengths": ((0.0, 128),)},
    "half the batch": {"batch_tokens": (2048, 2048)},
    "twice the batch": {"batch_tokens": (8192, 8192)},
    "batch ramp": {"batch_tokens": (2048, 8192)},
    "with next sentences": {"objective": "mlm+nsp"},
}


def parts(options, corpus, report: dict) -> dict:
    """Held-out scores after so many tokens with one part changed, and the pace: all changes in turns, by seed.

    Of equal tokens, since a machine's pace varies more between two runs than most parts bring; what a
    part costs is its pace beside that of the whole, in tokens per second of processor time.
    """
    found = {name: [] for name in PARTS}
    for seed in range(options.seeds):
        for name, change in PARTS.items():
            recipe = replace(race_recipe(1, seed), minutes=0, tokens=options.tokens, **change)
            start = time.process_time()
            metrics, scores = ours(recipe, corpus)
            pace = metrics["tokens"] / (time.process_time() - start)
            found[name].append(scores | {"tokens_per_second": pace, "left": metrics["left_plateau"]})
            print(
                f"{name:<36}{100 * scores['accuracy']:>7.1f}%{scores['loss']:>8.3f}{pace:>9,.0f} tokens/s",
                flush=True,
            )
    return found


def memory(options, corpus, report: dict) -> dict:
    """Peak memory of the command on a text file, and on ten times the text (Linux only)."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for times in (1, 10):
            path = Path(folder) / f"text{times}.txt"
            write_text(path, 60_000 * times)
            words = [
                "--corpus",
                str(path),
                "--steps",
                "100",
                "--threads",
                "2",
                "--output",
                f"{folder}/out{times}",
            ]
            peak = peak_memory("utils.pretraining", words, BERT_WORKSHOP_CACHE=folder)
            found[times] = {"text_mb": path.stat().st_size / 1e6, "peak_mb": peak}
    return {"runs": found, "growth": found[10]["peak_mb"] / found[1]["peak_mb"] - 1}


def write_text(path: Path, documents: int) -> None:
    """Write documents of the shop's sentences in random order, so that no two are alike."""
    sentences, draw = [sentence for document in shop() for sentence in document], random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(documents):
            file.write("\n".join(draw.choices(sentences, k=6)) + "\n\n")


# ----------------------------------------------------------------------------------------- command


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = {f.__name__: f for f in (throughput, quality, accuracy, utilisation, parts, memory)}
    parser.add_argument(
        "--minutes", type=float, default=3.0, help="our budget; stock gets up to ten times as much"
    )
    parser.add_argument("--only", nargs="+", choices=every, default=DEFAULT_PARTS)
    parser.add_argument("--tokens", type=int, default=1_000_000, help="budget of each run of `parts`")
    parser.add_argument("--corpus", default="docs")
    parser.add_argument("--turns", type=int, default=3, help="of the throughput race")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, help="default: one for each physical core")
    parser.add_argument("--stock-rates", type=float, nargs="+", default=STOCK_RATES)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    set_threads(options.threads)
    transformers.logging.set_verbosity_error()
    corpus = prepare(options.corpus)
    report = {"device": str(device()), "dtype": str(dtype()), "minutes": options.minutes}
    report["recipe"] = asdict(race_recipe(options.minutes))
    for name in options.only:
        report[name] = every[name](options, corpus, report)
        print(name, json.dumps(report[name], indent=1), flush=True)
        write(options.json, report)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
