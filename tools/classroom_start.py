"""Sets the course up from this folder, without a network: `python3 start.py [WHERE]`.

A copy of this file lies as start.py in each folder that `python -m utils.classroom prepare` fills.
It checks the files, copies the course to WHERE (default: bert-workshop in your home folder; nothing
that is there already is overwritten), installs the packages and looks at the machine. Needs nothing
but Python's standard library. `python3 start.py --verify` only checks the files.
"""

import hashlib
import os
import shutil
import subprocess
import sys

KIT = os.path.dirname(os.path.abspath(__file__))


def stop(message):
    print(message, file=sys.stderr)
    sys.exit(2)


def verify():
    """Compare every file of the folder with SHA256SUMS; stop at the first that is missing or differs."""
    with open(os.path.join(KIT, "SHA256SUMS"), encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("  ", 1) for line in file]
    for place, (wanted, name) in enumerate(lines, 1):
        if place % 20 == 0 or place == len(lines):
            print("\rChecking the files: %d of %d" % (place, len(lines)), end="", flush=True)  # noqa: UP031
        digest = hashlib.sha256()
        try:
            with open(os.path.join(KIT, *name.split("/")), "rb") as file:
                for block in iter(lambda: file.read(1 << 20), b""):
                    digest.update(block)
        except OSError:
            print()
            stop(name + " is missing or cannot be read: get a fresh copy of this folder.")
        if digest.hexdigest() != wanted:
            print()
            stop(name + " is damaged (its checksum is wrong): get a fresh copy of this folder.")
    print()


def copy_course(where):
    """Copy the course's files that are not there yet."""
    source = os.path.join(KIT, "course")
    for folder, _, names in os.walk(source):
        target = os.path.join(where, os.path.relpath(folder, source))
        os.makedirs(target, exist_ok=True)
        for name in names:
            if not os.path.exists(os.path.join(target, name)):
                part = os.path.join(target, name + ".part")
                shutil.copyfile(os.path.join(folder, name), part)
                os.replace(part, os.path.join(target, name))


def main(words):
    if sys.version_info < (3, 11):  # noqa: UP036
        found = ".".join(map(str, sys.version_info[:2]))
        stop("The course needs Python 3.11 or later, and this is " + found + ".")
    verify()
    if words == ["--verify"]:
        return 0
    where = os.path.abspath(words[0] if words else os.path.join(os.path.expanduser("~"), "bert-workshop"))
    print("Copying the course to " + where, flush=True)
    try:
        copy_course(where)
    except OSError as error:
        stop(
            "The course cannot be copied to " + where + " (" + str(error.strerror) + "): name another folder."
        )
    setup = os.path.join(where, "tools", "setup_environment.py")
    code = subprocess.call([sys.executable, setup], cwd=where, env=dict(os.environ, BERT_WORKSHOP_KIT=KIT))
    if code:  # not in one line with the call: an old Python must be able to read this file
        return code
    programs = os.path.join(".venv", "Scripts" if os.name == "nt" else "bin")
    python = os.path.join(where, programs, "python")
    code = subprocess.call([python, "-m", "utils.classroom", "check"], cwd=where)
    notebook = os.path.join("notebooks", "00_start_here.ipynb")
    print("\nTo open the course, today and later:\n")
    print("    cd " + where)
    print("    " + os.path.join(programs, "jupyter") + " lab " + notebook)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
