"""Says in one screen whether a machine is ready for the course, and what to do where it is not.

Needs nothing but the standard library until it has said what is missing; torch and the model are then
tried in a process of their own (`trial`), so that one that crashes is a line as well.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from utils.classroom.files import read_sums, sha256

ROOT = Path(__file__).resolve().parent.parent.parent
PORT = 8888  # JupyterLab's first choice
MEMORY, DISK, DISK_BEFORE = 3.0, 1.0, 3.5  # GB free: to run; to keep results; to set up besides
# Training steps a second (see `trial`) on the two cores on which the notebooks' minutes were
# measured, and what notebooks 05 and 06 take there, in minutes. Of 05, three minutes are by the clock.
REFERENCE = 1.0
PRETRAINING, FIXED, CLASSIFICATION = 4.5, 3.0, 2.5


class Line(NamedTuple):
    """One line of the screen. FIX means not ready, NOTE is good to know."""

    state: str
    what: str
    says: str


def check(root: Path = ROOT) -> int:
    """Print a line for each thing looked at; return 0 if the machine is ready, else 1."""
    print("Is this machine ready for the BERT workshop?\n")
    fixes = 0
    for line in look(root):
        print(f"{line.state:<5} {line.what:<11} {line.says}", flush=True)
        fixes += line.state == "FIX"
    if fixes:
        print(f"\nNot yet: {fixes} to fix, from the top. Then run this again.")
    else:
        print("\nReady. `make lab` opens the course; without make see START_HERE.txt or the README.")
    return 1 if fixes else 0


def look(root: Path) -> Iterator[Line]:
    """Yield the lines, the quick ones first."""
    yield python_line()
    packages = packages_line(root)
    yield packages
    if packages.state != "FIX":
        yield lab_line()
    yield cores_line()
    yield memory_line()
    yield disk_line(root, installed=packages.state != "FIX")
    yield folder_line(root)
    yield data_line(root)
    yield port_line()
    if packages.state == "FIX":
        yield Line(
            "NOTE", "the rest", "torch, the model and the browser are tried once the packages are there"
        )
    else:
        yield from model_lines(root)


# ------------------------------------------------------------------------------- without any package


def python_line() -> Line:
    found = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return Line("OK", "Python", found)
    return Line("FIX", "Python", f"{found}: install 3.11, 3.12 or 3.13, and set the course up with it")


def packages_line(root: Path) -> Line:
    """Compare what is installed with the lock."""
    try:
        lines = locked(root)
    except ImportError:
        return Line("FIX", "packages", _not_installed("none of the course's", root))
    missing, other = [], []
    for line in lines:
        try:
            found = metadata.version(line.name)
        except metadata.PackageNotFoundError:
            found = None
        if found is None:
            missing.append(line.name)
        elif not line.specifier.contains(found, prereleases=True):
            other.append(f"{line.name} {found} ({str(line.specifier)[2:]})")
    if missing:
        return Line("FIX", "packages", _not_installed(f"missing: {some(missing)}", root))
    if unfit := outside_the_ranges():
        remedy = f"run `{_install()}`"
        return Line("FIX", "packages", f"too old or too new for the course: {some(unfit)}: {remedy}")
    if other:
        return Line("NOTE", "packages", f"all here; the lock has other versions of {some(other)}")
    return Line("OK", "packages", f"{len(lines)}, each as in the lock")


def locked(root: Path) -> list:
    """Return the lock's lines that hold for this system and this Python, as packaging's Requirements.

    Raises:
        ImportError: not even the package that reads them is here.
    """
    from packaging.requirements import Requirement

    text = (root / "requirements.txt").read_text(encoding="utf-8")
    lines = [Requirement(line) for line in text.splitlines() if line and not line.startswith("#")]
    return [line for line in lines if not line.marker or line.marker.evaluate()]


def outside_the_ranges() -> list[str]:
    """Return the installed packages that do not fit pyproject.toml, with their versions."""
    from utils import bootstrap

    found = [(line, metadata.version(line.name)) for line in bootstrap.requirements()]
    return [
        f"{line.name} {version}"
        for line, version in found
        if not line.specifier.contains(version, prereleases=True)
    ]


def course_python() -> str:
    """Return the course's own Python, as one types it in the course's folder."""
    return ".venv\\Scripts\\python" if os.name == "nt" else ".venv/bin/python"


def _not_installed(what: str, root: Path) -> str:
    own, here = os.path.realpath(root / ".venv"), os.path.realpath(sys.prefix)
    if own == here:
        return f"{what}: run `{_install()}`"
    if os.path.isdir(own):
        return f"{what}: this is not the course's Python: run `{course_python()} -m utils.classroom check`"
    return f"{what}: run `make lab`, or in a room without a network start.py of the classroom folder"


def _install() -> str:
    return f"{course_python()} -m pip install -r requirements.txt -e ."


def some(names: list[str], shown: int = 4) -> str:
    """Return the first few names and how many more there are."""
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")


def lab_line() -> Line:
    """JupyterLab, the browser's half of the widgets, and a kernel that is this Python."""
    wanted = {
        "JupyterLab": "labextensions/../lab/static/index.html",
        "the widgets": "labextensions/@jupyter-widgets/jupyterlab-manager/package.json",
        "the kernel": "kernels/python3/kernel.json",
    }
    share = Path(sys.prefix, "share", "jupyter")
    missing = [name for name, place in wanted.items() if not Path(os.path.normpath(share / place)).is_file()]
    if missing:
        command = f"{course_python()} -m pip install --force-reinstall --no-deps jupyterlab jupyterlab-widgets ipykernel"
        return Line("FIX", "browser", f"{' and '.join(missing)} missing: run `{command}`")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("jupyterlab", "ipywidgets"))
    return Line("OK", "browser", versions)


def cores_line() -> Line:
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if count < 2:
        return Line("NOTE", "cores", "1: the notebooks take about twice their minutes")
    return Line("OK", "cores", str(count))


def memory_line() -> Line:
    try:
        psutil = importlib.import_module("psutil")
    except ImportError:
        return Line(
            "NOTE", "memory", f"not known before the packages are there; {MEMORY:.0f} GB must be free"
        )
    memory = psutil.virtual_memory()
    says = f"{memory.available / 2**30:.1f} GB free of {memory.total / 2**30:.1f}"
    if memory.available / 2**30 < MEMORY:
        return Line(
            "FIX", "memory", f"{says}: close other programs; the notebooks need up to {MEMORY:.0f} GB"
        )
    return Line("OK", "memory", says)


def disk_line(root: Path, installed: bool) -> Line:
    free, need = shutil.disk_usage(root).free / 1e9, DISK if installed else DISK_BEFORE
    if free < need:
        return Line("FIX", "disk", f"{free:.1f} GB free: make room, {need:.1f} GB are needed")
    return Line("OK", "disk", f"{free:.0f} GB free")


def folder_line(root: Path) -> Line:
    if os.access(root, os.W_OK):
        return Line("OK", "folder", "can be written to")
    return Line("FIX", "folder", f"{root} cannot be written to: copy the course to a folder of your own")


def data_line(root: Path) -> Line:
    """Compare the shop's data with its checksums."""
    sums = read_sums(root / "data" / "MANIFEST.sha256")
    paths = {name: root / "data" / name for name in sums}
    wrong = [name for name, path in paths.items() if not path.is_file() or sha256(path) != sums[name]]
    if wrong or not sums:
        names = some([f"data/{name}" for name in wrong] or ["data/MANIFEST.sha256"])
        return Line("FIX", "data", f"missing or changed: {names}: copy them again, or `git checkout data`")
    return Line("OK", "data", f"{len(sums)} files, checksums right")


def port_line() -> Line:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError:
            return Line(
                "NOTE", "port", f"{PORT} is taken, perhaps by a JupyterLab; a new one takes the next port"
            )
    return Line("OK", "port", f"{PORT} is free")


# -------------------------------------------------------------------------------- torch and the model


def model_lines(root: Path) -> Iterator[Line]:
    """Yield the lines on torch, the model and the speed, measured in another process."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "utils.classroom.trial"],
            cwd=root,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
            timeout=180,
        )
    except subprocess.TimeoutExpired:
        yield Line("FIX", "torch", "gives no answer in 3 minutes: close other programs and run this again")
        return
    found = {}
    for line in done.stdout.splitlines():
        if line.startswith("{"):
            found.update(json.loads(line))
    error = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    if "torch" not in found:
        remedy = f"run `{course_python()} -m pip install --force-reinstall --no-deps torch`"
        yield Line("FIX", "torch", f"does not start ({error}): {remedy}")
        return
    yield Line("OK", "torch", found["torch"])
    yield Line(*(found.get("model") or ("FIX", "BERT", error)))
    yield speed_line(found["speed"], found["gpu"]) if "speed" in found else Line("FIX", "speed", error)


def speed_line(steps: float, gpu: bool) -> Line:
    """Say roughly what the longest notebooks take on a machine that does so many training steps a second."""
    if gpu:
        return Line("OK", "speed", f"{steps:.0f} training steps a second on the GPU; every notebook is quick")
    pretraining = math.ceil(FIXED + (PRETRAINING - FIXED) * REFERENCE / steps)
    classification = math.ceil(CLASSIFICATION * REFERENCE / steps)
    says = f"notebook 05 takes about {pretraining} minutes here, 06 about {classification}; the others less"
    if steps < REFERENCE / 4:
        return Line("NOTE", "speed", f"slow: {says}; BERT_WORKSHOP_ROWS=100 makes 06 shorter")
    return Line("OK", "speed", says)
