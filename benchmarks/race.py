"""What the races share: the stock recipe's arguments, the table at the end, the file of runs, a command's memory."""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from transformers import TrainingArguments

from utils.profile import ROOT, device


def stock_arguments(folder: str, seed: int, **settings) -> TrainingArguments:
    """Return what transformers' own examples run with: float32, AdamW, `settings`; silent, nothing saved."""
    return TrainingArguments(
        output_dir=folder,
        seed=seed,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=device().type == "cpu",
        dataloader_pin_memory=device().type == "cuda",
        **settings,
    )


def mean_and_spread(values: list[float]) -> str:
    """Return "mean ± standard deviation" of a sample; one value has no spread."""
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.2f} ± {spread:.2f}"


def table(runs: list[dict], metrics: tuple[str, ...]) -> str:
    """Mean and spread of `metrics`, median seconds, and how many times as long as the last recipe's."""
    names = list(dict.fromkeys(run["recipe"] for run in runs))
    median = {
        name: statistics.median(run["seconds"] for run in runs if run["recipe"] == name) for name in names
    }
    titles = "".join(f"{metric:>16}" for metric in metrics)
    lines = [f"{'recipe':<44}{titles}{'median s':>10}{'ratio':>8}"]
    for name in names:
        scores = [[run[metric] for run in runs if run["recipe"] == name] for metric in metrics]
        columns = "".join(f"{mean_and_spread(values):>16}" for values in scores)
        lines.append(f"{name:<44}{columns}{median[name]:>10.1f}{median[name] / median[names[-1]]:>8.1f}")
    return "\n".join(lines)


def peak_memory(module: str, words: list[str], **environment: str) -> float:
    """Run `python -m module words` and return the most memory that it had, in MiB (Linux only).

    VmHWM, since the peak that `getrusage` tells a child begins with its parent's.

    Raises:
        subprocess.CalledProcessError: the command fails.
    """
    code = (
        f"import re, sys; from {module}.__main__ import main; status = main(sys.argv[1:]);"
        "print(int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]) / 1024); sys.exit(status)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return float(done.stdout.split()[-1])


def write(path: Path | None, content: dict) -> None:
    """Write `content` as JSON, so that a race that is stopped leaves its runs."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n")
