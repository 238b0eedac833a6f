"""`python -m utils.classroom`: gather all that a room needs in a folder, or look at this machine."""

from __future__ import annotations

import argparse
import errno
import sys
from pathlib import Path

from utils.classroom import kit, readiness


def main(words: list[str] | None = None) -> int:
    """Run the command; return its exit status: 0, 1 for a machine that is not ready, 2 after an error."""
    parser = argparse.ArgumentParser(prog="python -m utils.classroom", description=__doc__.split(": ")[1])
    commands = parser.add_subparsers(dest="command", required=True)
    preparing = commands.add_parser("prepare", help="gather course, packages and model in a folder")
    preparing.add_argument("folder", type=Path, help="a folder on a stick or a share; a second run goes on")
    commands.add_parser("check", help="say in one screen whether this machine is ready")
    arguments = parser.parse_args(words)
    if arguments.command == "check":
        return readiness.check()
    try:
        kit.prepare(arguments.folder.expanduser().resolve())
    except kit.KitError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(sentence(error, arguments.folder), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped; the same command goes on from here.", file=sys.stderr)
        return 2
    return 0


def sentence(error: OSError, folder: Path) -> str:
    if error.errno == errno.ENOSPC:
        return kit.no_space(folder)
    return f"{error.filename or folder}: {error.strerror}: mend that or name another folder; a second run goes on."


if __name__ == "__main__":
    sys.exit(main())
