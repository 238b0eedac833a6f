"""The one place for settings: the profile's knobs, the device, the number format, threads and seeds.

Not for anything that loads a model or a data set; `models` and `data` ask this module what to load.
"""

import os
import platform
import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import torch

ROOT = Path(__file__).resolve().parent.parent
MINILM = "sentence-transformers/all-MiniLM-L6-v2"


class SettingError(ValueError):
    """A setting is wrong; the message is one line that names it and says what to write."""


@dataclass(frozen=True)
class Profile:
    """Every knob that a notebook may ask for. Lengths are in word pieces, rows are examples."""

    name: str
    backbone: str  # Hub id or folder of the BERT that the notebooks fine-tune
    multilingual_backbone: str  # for questions about languages; "" where the profile has none
    classification: str  # data set of notebook 06, a name of utils.data
    rows: int  # training examples in one fine-tuning run
    evaluation_rows: int  # at most this many validation and test examples
    max_length: int  # longest input; longer texts are cut
    epochs: int
    batch_size: int
    learning_rate: float  # of the encoder
    head_learning_rate: float  # of the new layer on top
    frozen_layers: int  # lowest encoder layers that the fast recipe leaves as they are
    seeds: tuple[int, ...]
    data_sizes: tuple[int, ...]  # for "how much data is enough"
    overfit_rows: int  # so few examples that a model learns them by heart
    overfit_epochs: int
    reading: str  # data set of notebook 07, a name of utils.data
    questions: int  # at most this many training questions
    window: int  # its windows, question and context together
    stride: int  # what two windows of one context share
    reading_rate: float  # learning rate of the encoder there
    reading_batch: int  # and its windows a step
    tagging_epochs: int  # of notebook 10
    tagging_batch: int
    corpus: str  # what notebook 05 pre-trains on, a name of utils.corpus
    pretraining_config: str  # and the size of its BERT, a name of utils.pretraining.recipe
    pretraining_minutes: float
    experiment_tokens: int  # of each small run that compares two settings


PROFILES = {
    "quick": Profile(
        name="quick",
        backbone=MINILM,
        multilingual_backbone="",
        classification="reviews",
        rows=320,
        evaluation_rows=400,
        max_length=64,
        epochs=2,
        batch_size=16,
        learning_rate=1e-4,
        head_learning_rate=1e-3,
        frozen_layers=3,
        seeds=(0, 1, 2),
        data_sizes=(32, 128, 320),
        overfit_rows=64,
        overfit_epochs=8,
        reading="handbook",
        questions=2000,
        window=128,
        stride=16,
        reading_rate=3e-4,
        reading_batch=4,
        tagging_epochs=3,
        tagging_batch=4,
        corpus="docs:python,numpy,scipy,pandas,sklearn,networkx,matplotlib",
        pretraining_config="tiny",
        pretraining_minutes=3.0,
        experiment_tokens=40_000,
    ),
    "full": Profile(
        name="full",
        backbone="google-bert/bert-base-uncased",
        multilingual_backbone="google-bert/bert-base-multilingual-cased",
        classification="sst2",
        rows=8000,
        evaluation_rows=2000,
        max_length=256,
        epochs=2,
        batch_size=32,
        learning_rate=5e-5,
        head_learning_rate=1e-3,
        frozen_layers=4,
        seeds=(0, 1, 2),
        data_sizes=(32, 128, 512, 2048, 8000),
        overfit_rows=256,
        overfit_epochs=8,
        reading="squad_v2",
        questions=20_000,
        window=384,
        stride=128,
        reading_rate=5e-5,
        reading_batch=16,
        tagging_epochs=3,
        tagging_batch=16,
        corpus="docs",
        pretraining_config="mini",
        pretraining_minutes=10.0,
        experiment_tokens=20_000_000,
    ),
}


def get_profile(name: str | None = None) -> Profile:
    """Return the profile called `name`, or the one that BERT_WORKSHOP_PROFILE names, or "quick".

    Five more settings replace a knob: BERT_WORKSHOP_BACKBONE (a Hub id or a folder; it then stands
    alone, without the profile's multilingual BERT), BERT_WORKSHOP_DATASET (a data set for notebook
    06), BERT_WORKSHOP_READING (one with questions, for notebook 07), BERT_WORKSHOP_ROWS (training
    examples, and at most as many to score on) and BERT_WORKSHOP_MINUTES (of the live pre-training in
    notebook 05).

    Raises:
        SettingError: unknown profile, or a setting that is not a number above 0.
    """
    name = name or os.environ.get("BERT_WORKSHOP_PROFILE") or "quick"
    if name not in PROFILES:
        raise SettingError(
            f"BERT_WORKSHOP_PROFILE={name!r} is unknown: set it to one of {', '.join(PROFILES)}."
        )
    profile = PROFILES[name]
    if backbone := os.environ.get("BERT_WORKSHOP_BACKBONE"):
        profile = replace(profile, backbone=backbone, multilingual_backbone="")
    if dataset := os.environ.get("BERT_WORKSHOP_DATASET"):
        profile = replace(profile, classification=dataset)
    if reading := os.environ.get("BERT_WORKSHOP_READING"):
        profile = replace(profile, reading=reading)
    if rows := os.environ.get("BERT_WORKSHOP_ROWS"):
        if not rows.isdecimal() or int(rows) == 0:
            raise SettingError(
                f"BERT_WORKSHOP_ROWS={rows!r} is no number of rows: set it to a whole number above 0."
            )
        count = int(rows)
        smaller = [size for size in profile.data_sizes if size < count] or [max(1, count // 4)]
        profile = replace(
            profile,
            rows=count,
            evaluation_rows=min(profile.evaluation_rows, count),
            overfit_rows=min(profile.overfit_rows, count),
            data_sizes=(*smaller, count),
        )
    if minutes := os.environ.get("BERT_WORKSHOP_MINUTES"):
        if not minutes.replace(".", "", 1).isdecimal() or float(minutes) == 0:
            raise SettingError(
                f"BERT_WORKSHOP_MINUTES={minutes!r} is no number of minutes: set it to a number above 0."
            )
        profile = replace(profile, pretraining_minutes=float(minutes))
    return profile


def cache_folder() -> Path:
    """Return where corpora and their word pieces are kept: BERT_WORKSHOP_CACHE, or build/corpora."""
    return Path(os.environ.get("BERT_WORKSHOP_CACHE") or ROOT / "build" / "corpora")


def device() -> torch.device:
    """Return the best device of this machine: a CUDA GPU, an Apple GPU, or the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def dtype(where: torch.device | None = None) -> torch.dtype:
    """Return the number format for training on `where` (default: `device()`).

    bfloat16 only where the hardware computes in it: emulated, it is slower than float32 and no
    more exact. GPUs without it (a T4) get float16, everything else float32.
    """
    where = where or device()
    if where.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if where.type == "cpu" and cpu_has_bfloat16():
        return torch.bfloat16
    return torch.float32


def cpu_has_bfloat16() -> bool:
    """True if the CPU has bfloat16 instructions (AVX512-BF16 or AMX on x86, BF16 on ARM Linux)."""
    capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    names = ("avx512_bf16", "amx_bf16", "bf16", "arm_bf16")
    return any(capabilities.get(name, False) for name in names)


def set_threads(count: int | None = None) -> int:
    """Let torch use `count` CPU threads (default: one for each physical core) and return the number.

    One and two threads add floating-point numbers in different orders and so train to slightly
    different weights: fix the count wherever a run must be repeatable to the last digit.
    """
    torch.set_num_threads(count or psutil.cpu_count(logical=False) or os.cpu_count() or 1)
    return torch.get_num_threads()


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy and torch (every device)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def summary(profile: Profile | None = None) -> str:
    """Return one screen of plain text: this machine, the profile, and what to expect."""
    profile = profile or get_profile()
    where = device()
    memory = psutil.virtual_memory().total / 2**30
    gpu = torch.cuda.get_device_name() if where.type == "cuda" else where.type.replace("cpu", "none")
    number = str(dtype(where)).removeprefix("torch.")
    expect = (
        "everything, quickly"
        if where.type == "cuda"
        else "every notebook in the quick profile; use a GPU for full"
    )
    if memory < 4:
        expect = "a tight fit: close other programs, the notebooks need about 3 GB"
    rows = {
        "Python, torch": f"{platform.python_version()}, {torch.__version__}",
        "CPU cores": f"{psutil.cpu_count(logical=False) or os.cpu_count()}, torch uses {torch.get_num_threads()}",
        "memory": f"{memory:.0f} GB",
        "GPU": gpu,
        "numbers": f"{number} in training"
        + ("" if number != "float32" else " (no bfloat16 in this hardware)"),
        "profile": profile.name,
        "backbone": profile.backbone,
        "expect": expect,
    }
    return "\n".join(f"{key:<15}{value}" for key, value in rows.items())
