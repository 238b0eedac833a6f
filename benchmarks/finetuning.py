"""Races fine-tuning recipes: the stock script, the common course recipe, and ours.

    python benchmarks/finetuning.py --dataset sst2 --rows 1000 --seeds 3 --json build/bench/sst2.json

Same backbone (MiniLM), same rows, same evaluation; the recipes take turns, seed by seed. Timed is
everything from raw text to a trained model, the tokenizer and the set-up of the Trainer included;
loading the weights and the evaluation are outside. The ratio is that of the median times.

--ladder adds our parts to the common recipe one after the other, to show what each brings.
--rows 0 takes every row (then only our recipe runs, with --only course).
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import transformers
from race import stock_arguments, table, write
from transformers import DataCollatorWithPadding, PrinterCallback, Trainer, default_data_collator

from utils import data, finetuning, models
from utils.finetuning import Recipe
from utils.profile import SettingError, device, dtype, get_profile, seed_everything, set_threads

MAX_LENGTH = {"sst2": 128, "imdb": 256, "cola": 128, "rte": 256, "mrpc": 128}
SHORT = Recipe(
    epochs=2, batch_size=32, learning_rate=2e-4, head_learning_rate=1e-3, frozen_layers=3, max_length=128
)
LONG = replace(SHORT, batch_size=16, max_length=256)
# For 67,000 rows: 90.0% on SST-2, where 2 frozen layers, 2 epochs and no dropout gave 89.4% (one seed each).
ALL_ROWS = replace(
    SHORT, epochs=3, batch_size=32, learning_rate=1e-4, frozen_layers=0, dropout=0.1, weight_decay=0.01
)


@dataclass
class Task:
    """Rows to train on, rows to be scored on, and the class names; both of text and label."""

    train: data.Dataset
    test: data.Dataset
    names: tuple[str, ...]
    max_length: int


def stock(task: Task, seed: int, pad_to_longest: bool = False) -> tuple[float, object, object]:
    """The defaults of transformers' own text-classification example: batch 8, 3 epochs, 5e-5, fp32.

    It pads every text to the full length; the common course recipe (`pad_to_longest`) does not.
    Returns (seconds, tokenizer, model).
    """
    seed_everything(seed)
    tokenizer = models.load_tokenizer(get_profile().backbone)
    with models.quiet():
        model = transformers.AutoModelForSequenceClassification.from_pretrained(
            models.find_model(), num_labels=len(task.names), local_files_only=True, use_safetensors=True
        ).to(device())
    start = time.perf_counter()
    padding = False if pad_to_longest else "max_length"

    def tokenize(batch):
        return tokenizer(batch["text"], padding=padding, max_length=task.max_length, truncation=True)

    rows = task.train.map(tokenize, batched=True, load_from_cache_file=False)
    with tempfile.TemporaryDirectory() as folder, models.quiet():
        arguments = stock_arguments(
            folder, seed, per_device_train_batch_size=8, num_train_epochs=3, learning_rate=5e-5
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=rows,
            processing_class=tokenizer,
            data_collator=DataCollatorWithPadding(tokenizer) if pad_to_longest else default_data_collator,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    return time.perf_counter() - start, tokenizer, model


def common(task: Task, seed: int) -> tuple[float, object, object]:
    """What most courses teach: the stock recipe with dynamic padding."""
    return stock(task, seed, pad_to_longest=True)


def course(task: Task, seed: int, recipe: Recipe) -> tuple[float, object, object]:
    """Our recipe. Returns (seconds, tokenizer, model)."""
    recipe = replace(recipe, seed=seed)
    tokenizer, model = finetuning.new_classifier(task.names, recipe)
    start = time.perf_counter()
    rows = finetuning.encode(tokenizer, task.train, recipe.max_length)
    finetuning.train(model, rows, recipe)
    return time.perf_counter() - start, tokenizer, model


def accuracy(task: Task, tokenizer, model) -> float:
    """Score every recipe in the same way: unpadded, at the task's full length. In percent."""
    rows = finetuning.encode(tokenizer, task.test, task.max_length)
    guesses = finetuning.predict(model, rows).argmax(-1)
    return 100 * float(np.mean(guesses == np.array([row["labels"] for row in rows])))


def prepare(dataset: str, rows: int, evaluation_rows: int, seed: int) -> Task:
    loaded = data.load_classification(dataset, validation_rows=1)
    train = data.sample(loaded["train"], rows, seed) if rows else loaded["train"]
    return Task(
        train,
        data.sample(loaded["test"], evaluation_rows, 0),
        data.class_names(dataset),
        MAX_LENGTH.get(dataset, 128),
    )


def ladder() -> dict[str, Recipe]:
    """Our parts, added one after the other to the common recipe (with a mean-pooled head)."""
    base = Recipe(
        epochs=3, batch_size=8, learning_rate=5e-5, head_learning_rate=5e-5, dropout=0.1, warmup=0.0
    )
    steps = {
        "common, mean pooling, batches by length": {},
        "+ no dropout": {"dropout": 0.0},
        "+ batch 32": {"batch_size": 32},
    }
    steps["+ rates 2e-4 and 1e-3, warm-up"] = {
        "learning_rate": 2e-4,
        "head_learning_rate": 1e-3,
        "warmup": 0.1,
    }
    steps["+ 2 epochs instead of 3"] = {"epochs": 2}
    steps["+ 3 frozen layers, computed once (ours)"] = {"frozen_layers": 3}
    recipes, recipe = {}, base
    for name, change in steps.items():
        recipe = replace(recipe, **change)
        recipes[name] = recipe
    return recipes


def contestants(options) -> dict:
    recipe = LONG if MAX_LENGTH.get(options.dataset, 128) > 128 else SHORT
    recipe = ALL_ROWS if options.rows == 0 else recipe
    if options.frozen is not None:
        recipe = replace(recipe, frozen_layers=options.frozen)
    if options.epochs is not None:
        recipe = replace(recipe, epochs=options.epochs)
    everyone = {"stock": stock, "common": common, "course": lambda task, seed: course(task, seed, recipe)}
    if options.ladder:
        everyone = {name: (lambda task, seed, r=r: course(task, seed, r)) for name, r in ladder().items()}
    return {name: run for name, run in everyone.items() if not options.only or name in options.only}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--dataset", default="sst2", choices=[name for name, source in data.SOURCES.items() if source.labels]
    )
    parser.add_argument("--rows", type=int, default=1000, help="training rows; 0 for all")
    parser.add_argument("--evaluation-rows", type=int, default=1000, help="test rows, the same for every run")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0, help="3 races on seeds that no choice has seen")
    parser.add_argument("--only", nargs="*", help="a choice of stock, common, course")
    parser.add_argument("--frozen", type=int, help="frozen layers of our recipe, if not the recipe's own")
    parser.add_argument("--epochs", type=int, help="epochs of our recipe, if not the recipe's own")
    parser.add_argument("--ladder", action="store_true", help="show what each part of our recipe brings")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    options = parser.parse_args(arguments)
    if min(options.rows, options.first_seed) < 0 or options.seeds < 1:
        parser.error("--rows and --first-seed must be 0 or more, and --seeds 1 or more")
    if unknown := set(options.only or ()) - set(contestants(options)):
        parser.error(f"--only: there is no recipe {' or '.join(sorted(unknown))} here")
    try:
        print(table(race(options), ("accuracy",)))
    except (data.DataError, models.ModelError, SettingError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def race(options) -> list[dict]:
    """Let the recipes take turns, seed by seed; print and write each run as soon as it is done."""
    set_threads()
    data.datasets.disable_progress_bars()
    finetuning.ProgressLine._write = lambda self, text, final: None  # one line a run is enough here
    runs = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        task = prepare(options.dataset, options.rows, options.evaluation_rows, seed)
        for name, run in contestants(options).items():
            seconds, tokenizer, model = run(task, seed)
            runs.append(
                {
                    "recipe": name,
                    "seed": seed,
                    "seconds": seconds,
                    "accuracy": accuracy(task, tokenizer, model),
                }
            )
            print(f"seed {seed}  {name:<42}{seconds:>8.1f} s{runs[-1]['accuracy']:>8.2f}%", flush=True)
            write(options.json, report(options, runs))
    return runs


def report(options, runs: list[dict]) -> dict:
    settings = {
        "dataset": options.dataset,
        "rows": options.rows,
        "backbone": get_profile().backbone,
    }
    return settings | {"dtype": str(dtype()), "device": str(device()), "runs": runs}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
