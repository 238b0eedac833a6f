"""`python -m utils.pretraining`: pre-train a BERT on a corpus and save what transformers loads."""

import argparse
import os
import platform
import shlex
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import psutil
import torch
import transformers
from accelerate import PartialState
from matplotlib import pyplot as plt

from utils import plots
from utils.bert import BertForPreTraining
from utils.corpus import CorpusError
from utils.pretraining.loop import Stopped, pretrain
from utils.pretraining.prepare import prepare
from utils.pretraining.recipe import CONFIGS, OBJECTIVES, Recipe, RecipeError
from utils.pretraining.report import hand_over, with_earlier
from utils.pretraining.widen import widen
from utils.profile import device, set_threads


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m utils.pretraining", description=__doc__.split(": ")[1])
    add = parser.add_argument
    add(
        "--corpus",
        default="docs",
        help="docs, docs:LIBRARY,…, shop, a .txt, .jsonl or .parquet, or owner/name",
    )
    add("--text-column", default="text", help="where a .jsonl or .parquet has the text (default: text)")
    add("--config", default="tiny", help=f"the model's size: {', '.join(CONFIGS)}, or layers/width as 2/256")
    add("--objective", default="mlm+nsp", choices=OBJECTIVES)
    add("--minutes", type=float, default=0, help="budget; or --steps, or --tokens (default: 3 minutes)")
    add("--steps", type=int, default=0)
    add("--tokens", type=int, default=0)
    add("--output", type=Path, required=True, help="folder for the model, its card, curve and checkpoints")
    add("--resume", action="store_true", help="go on with the run in the output folder")
    add("--start-from", type=Path, help="folder of a BERT whose training goes on, with its tokenizer")
    add("--widen", action="store_true", help="with --start-from: make that BERT twice as wide first")
    add("--tokenizer", type=Path, help="folder of a tokenizer, in place of one learnt from the corpus")
    add("--vocab-size", type=int, default=Recipe.vocab_size)
    add(
        "--length",
        type=int,
        nargs="+",
        help="tokens in a sequence: one number, or one for the first tenth and one for the rest",
    )
    add("--batch-tokens", type=int, nargs="+", help="tokens in a step: one number, or first and last")
    add("--mask-rate", type=float, nargs="+", help="part of the tokens to be guessed: one, or first and last")
    add("--optimizer", default=Recipe.optimizer, choices=("muon", "adamw"))
    add("--matrix-rate", type=float, default=Recipe.matrix_rate, help="Muon's learning rate")
    add("--learning-rate", type=float, default=Recipe.learning_rate, help="AdamW's learning rate")
    add("--seed", type=int, default=0)
    add("--threads", type=int, help="CPU threads (default: one a core; 1 repeats to the last digit)")
    return parser.parse_args(words)


def recipe_of(args: argparse.Namespace) -> Recipe:
    """Return the settings that the words of the command ask for."""
    given = {
        name: getattr(args, name)
        for name in ("config", "objective", "steps", "tokens", "vocab_size", "optimizer", "seed")
    } | {"matrix_rate": args.matrix_rate, "learning_rate": args.learning_rate}
    given["minutes"] = args.minutes if args.minutes or args.steps or args.tokens else 3.0
    if args.length:
        given["lengths"] = (
            (0.0, args.length[0]),
            *([(0.1, args.length[-1])] if len(args.length) > 1 else []),
        )
        given["max_length"] = max(Recipe.max_length, *args.length)
    if args.batch_tokens:
        given["batch_tokens"] = (args.batch_tokens[0], args.batch_tokens[-1])
    if args.mask_rate:
        given["mask_rates"] = (args.mask_rate[0], args.mask_rate[-1])
    return Recipe(**given)


def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit status: 0, 2 after a mistake in the input, 130 after Ctrl-C."""
    args = arguments(words)
    transformers.logging.set_verbosity_error()
    set_threads(args.threads)
    first_process = os.environ.get("LOCAL_RANK", "0") == "0"
    try:
        recipe = recipe_of(args)
        check_output(args.output, args.resume)
        if args.widen and not args.start_from:
            raise RecipeError("--widen needs a BERT to make wider: add --start-from and its folder.")
        with PartialState(cpu=device().type == "cpu").local_main_process_first():
            tokenizer, tokens = prepare(
                args.corpus,
                recipe.vocab_size,
                args.text_column,
                args.tokenizer or args.start_from,
                first_process,
            )
        started = load(args.start_from) if args.start_from else None
        started = widen(started, recipe.seed) if args.widen else started
        model, metrics = pretrain(recipe, tokens, tokenizer, args.output, args.resume, started)
    except (CorpusError, RecipeError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 2
    except Stopped as stop:
        print(f"\n{args.output}: {stop}", file=sys.stderr)
        return 130
    if int(os.environ.get("RANK", "0")) == 0:
        launcher = ["python"]
        if metrics["processes"] > 1:  # --multi_gpu is accelerate's name for several processes, on CPUs too
            launcher = ["accelerate", "launch", "--multi_gpu", f"--num_processes={metrics['processes']}"]
        command = shlex.join([*launcher, "-m", "utils.pretraining", *(words or sys.argv[1:])])
        metrics |= {
            "corpus": args.corpus,
            "corpus_tokens": tokens.size(),
            "hardware": hardware(metrics["device"], metrics["processes"]),
        }
        metrics = with_earlier(metrics, command, args.start_from)
        try:
            finish(model, tokenizer, metrics, args.output)
        except OSError as error:
            print(
                f"Error: {args.output}: {error.strerror}: free some space and run again with --resume.",
                file=sys.stderr,
            )
            return 2
    return 0


def check_output(folder: Path, resume: bool) -> None:
    """Raises RecipeError where a run would overwrite another one's."""
    if folder.exists() and not folder.is_dir():
        raise RecipeError(f"--output {folder} is a file: name a folder.")
    if (
        not resume
        and folder.exists()
        and (list(folder.glob("checkpoint-*")) or (folder / "metrics.json").exists())
    ):
        raise RecipeError(
            f"--output {folder} holds a run: add --resume to go on with it, or name another folder."
        )


def load(folder: Path) -> BertForPreTraining:
    """Return the BERT in `folder`, whose training is to go on."""
    try:
        return BertForPreTraining.from_transformers(
            transformers.BertForPreTraining.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
        )
    except (OSError, ValueError) as error:
        raise RecipeError(f"--start-from {folder}: no BERT in it ({str(error).splitlines()[0]}).") from None


def finish(model, tokenizer, metrics: dict, folder: Path) -> None:
    """Write what the run leaves and print where it is and how good."""
    hand_over(model, tokenizer, metrics, folder)
    plots.theme()
    plots.pretraining_curve(metrics).figure.savefig(folder / "learning_curve.png", bbox_inches="tight")
    plt.close("all")
    held_out = metrics["held_out"]
    print(
        f"Held out: loss {held_out['loss']:.2f}, masked accuracy {held_out['accuracy']:.1%}. Saved to {folder}."
    )


def hardware(device: str, processes: int) -> str:
    """Say in words what the run used, with one GPU or some cores for each process."""
    if device.startswith("cuda"):
        return f"{processes} x {torch.cuda.get_device_name()}"
    cores = psutil.cpu_count(logical=False) or os.cpu_count()
    return f"{min(cores, processes * torch.get_num_threads())} CPU cores ({platform.machine()})"


if __name__ == "__main__":
    sys.exit(main())
