"""What a notebook's first cell calls: are the course's packages here, and new enough?

Silent when all is well. Installs what is missing; never installs or changes torch.
"""

import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent


def requirements(extra: str = "") -> list[Requirement]:
    """Return the version ranges of pyproject.toml: what every notebook needs, or what `extra` adds."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return [Requirement(line) for line in lines]


def check_versions(extra: str = "") -> None:
    """Install missing packages, and stop with one sentence if an installed one is too old or too new.

    Args:
        extra: "toolbox" looks after what notebook 11 needs besides.

    Raises:
        RuntimeError: the sentence says which package, which version, and what to do.
    """
    missing = []
    for requirement in requirements(extra):
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            missing.append(requirement)
            continue
        if not requirement.specifier.contains(found, prereleases=True):
            raise RuntimeError(remedy(requirement, found))
    if any(requirement.name == "torch" for requirement in missing):
        raise RuntimeError(
            "torch is missing: on Colab choose a standard runtime; on your machine run `make lab`."
        )
    if missing:
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            *map(str, missing),
            f"torch=={version('torch')}",
        ]
        if subprocess.run(command).returncode:
            raise RuntimeError(
                f"pip could not install {', '.join(r.name for r in missing)}: check the connection and run this cell again."
            )


def remedy(requirement: Requirement, found: str) -> str:
    """Say what to do about an installed version outside the range."""
    wrong = f"{requirement.name} {found} does not fit the course (it needs {requirement.specifier})"
    if requirement.name == "torch":
        return f"{wrong}: choose the newest runtime (on Colab: Runtime > Change runtime type); the course never reinstalls torch."
    return f"{wrong}: run `%pip install '{requirement}'` in a new cell, restart the session, and run this cell again."
