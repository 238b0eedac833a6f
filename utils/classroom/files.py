"""Files of the kit: which ones the course consists of, and their checksums. Nothing but the standard library."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path
from typing import BinaryIO

HIDDEN_BUT_OURS = {".ci", ".github", ".devcontainer"}
NOT_THE_COURSE = {"build", "runs", "__pycache__"}  # what a learner's work leaves


def course_files(root: Path, kit: Path) -> list[str]:
    """Return the files of the course: what git tracks, or without git all but what a learner's work leaves.

    Paths are relative to `root`, with slashes; `kit`, if it lies inside, is left out.
    """
    listed = ["git", "ls-files", "-z"]
    try:
        output = subprocess.run(listed, cwd=root, capture_output=True, check=True).stdout.decode()
    except (OSError, subprocess.CalledProcessError):
        output = ""
    names = [name for name in output.split("\0") if name and (root / name).is_file()]
    return sorted(names) if "requirements.txt" in names else sorted(_walk(root, kit))


def _walk(root: Path, kit: Path) -> list[str]:
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if _is_ours(name) and Path(folder, name) != kit]
        names += [Path(folder, name).relative_to(root).as_posix() for name in files]
    return [name for name in names if not name.startswith("progress.")]


def _is_ours(folder: str) -> bool:
    hidden = folder.startswith(".") and folder not in HIDDEN_BUT_OURS
    return not hidden and folder not in NOT_THE_COURSE and not folder.endswith(".egg-info")


def read_sums(path: Path) -> dict[str, str]:
    """Return {name: sha256} of a file as `sha256sum` writes it; a line that makes no sense counts as absent."""
    if not path.is_file():
        return {}
    parts = [line.split("  ", 1) for line in path.read_text(encoding="utf-8", errors="replace").splitlines()]
    return {part[1]: part[0] for part in parts if len(part) == 2 and len(part[0]) == 64}


def sha256(path: Path) -> str:
    """Return the sha256 of the file at `path` as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return digest(file)


def digest(file: BinaryIO) -> str:
    """Return the sha256 of what is left to read in `file`."""
    found = hashlib.sha256()
    for block in iter(lambda: file.read(1 << 20), b""):
        found.update(block)
    return found.hexdigest()
