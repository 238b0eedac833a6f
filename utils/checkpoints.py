"""Checkpoint folders: whose run is in them, and which checkpoint can be trusted to go on from.

Not for writing checkpoints; transformers' Trainer does that.
"""

import json
import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open


class CheckpointError(RuntimeError):
    """A run cannot go on; the message is one sentence with the remedy."""


def claim(folder: Path, settings: dict) -> Path:
    """Make `folder`, or check that the run in it has the same settings; return `folder`.

    Raises:
        CheckpointError: the folder holds a run with other settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    note, wanted = folder / "recipe.json", json.dumps(settings, sort_keys=True)
    if note.exists() and note.read_text() != wanted:
        raise CheckpointError(
            f"{folder} holds a run with another recipe or other data: choose another folder, or delete it to start over."
        )
    note.write_text(wanted)
    return folder


def last_good_checkpoint(folder: Path) -> str | None:
    """Return the newest complete checkpoint in `folder`, or None; say which damaged ones were skipped."""
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]), reverse=True)
    for checkpoint in found:
        problem = checkpoint_problem(checkpoint)
        if problem is None:
            return str(checkpoint)
        print(f"Skipped {checkpoint.name}: {problem}.")
    if found:
        print("No complete checkpoint is left: the run starts from the beginning.")
    return None


def checkpoint_problem(checkpoint: Path) -> str | None:
    """Say what is missing or damaged in a Trainer checkpoint; None if a resume would be exact.

    A missing optimizer file would not stop the Trainer: it would go on with other results.
    """
    for name in ("model.safetensors", "trainer_state.json", "optimizer.pt", "scheduler.pt", "rng_state.pth"):
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        try:
            if path.suffix == ".safetensors":
                with safe_open(path, framework="pt") as file:
                    file.keys()
            elif path.suffix == ".json":
                json.loads(path.read_text())
            else:
                torch.load(path, map_location="cpu", weights_only=name != "rng_state.pth")
        except (
            SafetensorError,
            ValueError,
            EOFError,
            OSError,
            RuntimeError,
            KeyError,
            pickle.UnpicklingError,
        ):
            return f"{name} is damaged"
    return None
