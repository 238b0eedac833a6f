"""Copies a finished pre-training run to data/checkpoints: half-precision weights, curve, metrics and card.

    python tools/publish_checkpoint.py build/bert-workshop-small --scores build/bench/checkpoint.json

The card gets the text's origin and the GLUE scores that `benchmarks/checkpoint.py` measured on the run.
"""

import argparse
import json
import re
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from utils.models import COURSE_CHECKPOINT

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
ORIGIN = (
    "26,747 articles of the English Wikipedia of 2015 (CC BY-SA 3.0, by its authors; about 65 million words, "
    "lower-cased; no text of it is in this repository)"
)
COPIED = ("config.json", "tokenizer.json", "tokenizer_config.json", "metrics.json", "learning_curve.png")


def publish(run: Path, scores: list[Path], target: Path) -> None:
    """Write the checkpoint of `run` to `target`, whole or not at all."""
    unfinished = target.with_name(target.name + ".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for name in COPIED:
        shutil.copy(run / name, unfinished / name)
    weights = {
        name: tensor.to(torch.float16).contiguous()
        for name, tensor in load_file(run / "model.safetensors").items()
    }
    save_file(weights, unfinished / "model.safetensors", metadata={"format": "pt"})
    metrics = json.loads(without_folders((run / "metrics.json").read_text()))
    (unfinished / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")
    (unfinished / "README.md").write_text(card(run, metrics, scores, target.name))
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)


def card(run: Path, metrics: dict, scores: list[Path], name: str) -> str:
    """Return the run's own card under `name`, with the text's origin and, where measured, the fine-tuned scores."""
    lines = [
        f"| trained on | {ORIGIN}: {metrics['corpus_tokens']:,} word pieces, read "
        f"{metrics['tokens'] / metrics['corpus_tokens']:.2f} times |"
        if line.startswith("| trained on")
        else line
        for line in without_folders((run / "README.md").read_text()).splitlines()
    ]
    text = "\n".join(lines) + "\n"
    text = text.replace(f"# {run.name}\n", f"# {name}\n").replace(f'"{run.name}"', f'"{name}"')
    text += "\nThe weights are stored in half precision and load in float32. Licence: MIT, as the course's code.\n"
    text += "\n![Loss by tokens seen, on training and held-out text, with the unigram level.](learning_curve.png)\n"
    return text + (glue(scores) if scores else "")


def without_folders(text: str) -> str:
    """Return a text with the corpus's name alone in place of its path, which is of one machine."""
    return re.sub(r"[^\s\"']+/([^\s\"'/]+\.parquet)", r"\1", text)


def glue(scores: list[Path]) -> str:
    """Return the table of fine-tuned scores in Markdown."""
    sys.path.insert(0, str(BENCHMARKS))
    import checkpoint

    runs = [run for path in scores for run in json.loads(path.read_text())["runs"]]
    rows = ["| task | metric | this BERT | BERT-Tiny | BERT-Mini |", "|---|---|---:|---:|---:|"]
    for row in checkpoint.summary(runs):
        rows.append(
            f"| {row['task']} | {row['metric']} | {row['mean']:.1f} ± {row['std']:.1f} | {row['tiny']} | {row['mini']} |"
        )
    return (
        "\n## Fine-tuned\n\n"
        + "\n".join(rows)
        + "\n\nMean and standard deviation over "
        + f"{len({run['seed'] for run in runs})} seeds on the dev splits (MRPC: its original test split), "
        "`python benchmarks/checkpoint.py`; of a pair each text was read alone. BERT-Tiny (4.4 million parameters) and BERT-Mini (11.3): Google's figures "
        "for GLUE's test server, each the best of several settings (Turc et al., 2019).\n"
    )


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--scores", type=Path, nargs="*", default=[], help="JSON of benchmarks/checkpoint.py")
    parser.add_argument("--target", type=Path, default=COURSE_CHECKPOINT)
    options = parser.parse_args(words)
    missing = [
        name for name in (*COPIED, "model.safetensors", "README.md") if not (options.run / name).is_file()
    ]
    if missing:
        print(f"{options.run}: no {missing[0]}: name the folder of a finished run.", file=sys.stderr)
        return 2
    publish(options.run, options.scores, options.target)
    size = sum(path.stat().st_size for path in options.target.iterdir()) / 1e6
    print(f"{options.target}: {size:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
