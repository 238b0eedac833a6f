"""Races question-answering recipes on SQuAD: transformers' own example as it comes, and ours.

    HF_HUB_CACHE=… HF_HUB_OFFLINE=1 python benchmarks/question_answering.py --rows 4000 --evaluation-rows 2000 \
        --json build/bench/question_answering.json

Same backbone (MiniLM), same questions, same evaluation (windows of 384, stride 128, the course's decoding,
the official scores); the recipes take turns, seed by seed. Timed is everything from raw text to a trained
model; loading the weights and the evaluation are outside. The ratio is that of the median times; beside it
stands that of the processor's time, which other work on the machine changes least: with `--threads 1` the
race can run beside other work.

Stock: the defaults of transformers' question-answering example: every window padded to 384, stride 128,
float32, batch 12, 2 epochs, 3e-5, the learning rate falling in a line from the first step.
"""

import argparse
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from race import stock_arguments, table, write
from transformers import PrinterCallback, Trainer, default_data_collator

from utils import answer_spans, data, finetuning, models, question_answering, reader
from utils.finetuning import POSITIONS, Recipe
from utils.profile import SettingError, device, dtype, get_profile, set_threads

LENGTH, STRIDE = 384, 128  # of the stock recipe, and of everybody's evaluation
OURS = Recipe(
    epochs=2, batch_size=16, learning_rate=3e-4, head_learning_rate=1e-3, frozen_layers=3, max_length=192
)
OUR_STRIDE = 48


def stock(rows, seed: int) -> tuple[float, object, object]:
    """Return (seconds, tokenizer, model) of the stock recipe."""
    tokenizer, model = finetuning.new_model("question-answering", Recipe(seed=seed, dropout=0.1))
    start = time.perf_counter()
    windows = answer_spans.encode(tokenizer, rows, LENGTH, STRIDE)
    padded = []
    for window in windows:
        missing = LENGTH - len(window["input_ids"])
        row = {name: [*window[name], *[0] * missing] for name in ("input_ids", "token_type_ids")}
        row["attention_mask"] = [1] * len(window["input_ids"]) + [0] * missing
        padded.append(row | {name: window[name] for name in POSITIONS})
    with tempfile.TemporaryDirectory() as folder, models.quiet():
        arguments = stock_arguments(
            folder,
            seed,
            per_device_train_batch_size=12,
            num_train_epochs=2,
            learning_rate=3e-5,
            remove_unused_columns=False,  # the model takes them all, some by **others
        )
        trainer = Trainer(
            model=model, args=arguments, train_dataset=padded, data_collator=default_data_collator
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return time.perf_counter() - start, tokenizer, model


def course(rows, seed: int, recipe: Recipe, empty: float) -> tuple[float, object, object]:
    """Return (seconds, tokenizer, model) of our recipe.

    `empty`: the part of the windows without an answer that is kept, drawn at random.
    """
    recipe = replace(recipe, seed=seed)
    tokenizer, model = finetuning.new_model("question-answering", recipe)
    start = time.perf_counter()
    windows = answer_spans.encode(tokenizer, rows, recipe.max_length, OUR_STRIDE)
    keep = np.random.default_rng(seed).random(len(windows)) < empty
    windows = [window for window, kept in zip(windows, keep, strict=True) if kept or window[POSITIONS[0]]]
    finetuning.train(model, windows, recipe)
    return time.perf_counter() - start, tokenizer, model


def score(rows, tokenizer, model) -> dict[str, float]:
    """Return EM and F1 in percent; a question without an answer gets silence only in version 2."""
    windows = answer_spans.encode(tokenizer, rows, LENGTH, STRIDE)
    answers = answer_spans.decode(windows, reader.predict(model, windows))
    found = question_answering.evaluate({name: answer.text() for name, answer in answers.items()}, rows)
    return {"EM": found["exact_match"], "F1": found["f1"]}


def race(options) -> list[dict]:
    """Let the recipes take turns, seed by seed; print and write each run as soon as it is done."""
    set_threads(options.threads)
    data.datasets.disable_progress_bars()
    finetuning.ProgressLine._write = lambda self, text, final: None  # one line a run is enough here
    loaded, runs = data.load(options.dataset), []
    test = list(data.sample(loaded["validation"], options.evaluation_rows, 0))
    recipe = replace(OURS, **{k: v for k, v in options.change.items() if k != "empty"})
    everyone = {
        "stock": stock,
        "course": lambda rows, seed: course(rows, seed, recipe, options.change.get("empty", 0.5)),
    }
    for seed in range(options.seeds):
        train = list(data.sample(loaded["train"], options.rows, seed))
        for name in options.only:
            start = time.process_time()
            seconds, tokenizer, model = everyone[name](train, seed)
            times = {"seconds": seconds, "processor_seconds": time.process_time() - start}
            runs.append({"recipe": name, "seed": seed} | times | score(test, tokenizer, model))
            run = runs[-1]
            print(
                f"seed {seed}  {name:<8}{seconds:>8.1f} s  EM {run['EM']:.2f}  F1 {run['F1']:.2f}", flush=True
            )
            settings = {name: str(value) for name, value in vars(options).items()}
            settings |= {"backbone": get_profile().backbone, "dtype": str(dtype()), "device": str(device())}
            write(options.json, {"settings": settings, "runs": runs})
    return runs


def processor_ratio(runs: list[dict]) -> str:
    """Say how many times the last recipe's processor time each takes, by medians."""
    spent = {run["recipe"]: [] for run in runs}
    for run in runs:
        spent[run["recipe"]].append(run["processor_seconds"])
    median = {name: statistics.median(seconds) for name, seconds in spent.items()}
    last = median[runs[-1]["recipe"]]
    return "processor time: " + ", ".join(f"{name} {value / last:.1f}" for name, value in median.items())


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="squad", choices=("squad", "squad_v2", "handbook"))
    parser.add_argument("--rows", type=int, default=4000, help="training questions")
    parser.add_argument("--evaluation-rows", type=int, default=2000, help="dev questions, the same for all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", nargs="+", default=["stock", "course"], choices=("stock", "course"))
    parser.add_argument("--threads", type=int, help="default: one for each physical core")
    parser.add_argument("--change", nargs="*", default=[], help="name=value of our recipe; empty=0.5")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    options = parser.parse_args(words)
    options.change = {
        name: float(v) if "." in v or "e" in v else int(v)
        for name, v in (w.split("=") for w in options.change)
    }
    try:
        runs = race(options)
        print(table(runs, ("EM", "F1")))
        print(processor_ratio(runs))
    except (data.DataError, models.ModelError, SettingError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
