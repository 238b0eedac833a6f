"""What survives a crash: a run's state, written beside the last one and renamed when it is whole.

A killed run leaves at worst an unfinished temporary folder, which nothing reads. Not for the model
that is handed over at the end (`report`).
"""

import hashlib
import json
import os
import shutil
from pathlib import Path

import torch

KEPT = 2  # checkpoints: the newest, and one to fall back to


def save(folder: Path, step: int, state: dict) -> Path:
    """Write `state` (tensors, numbers, text) as `folder`/checkpoint-STEP; keep the newest two.

    Raises:
        OSError: the disk is full or not writable; earlier checkpoints are as they were.
    """
    target = folder / f"checkpoint-{step:08d}"
    unfinished = folder / f".unfinished-{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        with (unfinished / "state.pt").open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        (unfinished / "sum.json").write_text(json.dumps({"sha256": _sum(unfinished / "state.pt")}))
        shutil.rmtree(target, ignore_errors=True)
        unfinished.rename(target)
    except RuntimeError as error:  # torch reports a full disk in its own way
        raise OSError(str(error).splitlines()[0]) from None
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    for old in checkpoints(folder)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in `folder`, the newest first."""
    return sorted(folder.glob("checkpoint-*"), reverse=True)


def load_last_good(folder: Path) -> dict | None:
    """Return the newest state that is whole, or None; say in a line which damaged ones were passed over."""
    found = checkpoints(folder)
    for path in found:
        state = _load(path)
        if state is not None:
            return state
        print(f"Skipped {path.name}: it is damaged.")
    if found:
        print("No checkpoint is whole: the run starts from the beginning.")
    return None


def clean_up(folder: Path) -> None:
    """Remove what killed runs left half-written."""
    for path in folder.glob(".unfinished-*"):
        shutil.rmtree(path, ignore_errors=True)


def _load(path: Path) -> dict | None:
    try:
        if json.loads((path / "sum.json").read_text())["sha256"] == _sum(path / "state.pt"):
            return torch.load(path / "state.pt", map_location="cpu", weights_only=True)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return None


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
