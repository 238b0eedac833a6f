"""Regenerates requirements.txt, the exact lock, from the ranges in pyproject.toml. Needs an index.

One lock for Python 3.11 to 3.13 on Linux, macOS and Windows: uv resolves for all of them at once
and writes markers where they differ.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# The lock: exact versions for Python 3.11 to 3.13 on Linux, macOS and Windows.
# Made from the ranges in pyproject.toml by `make lock` (tools/lock.py); do not edit by hand.
# torch's CUDA packages are left out on purpose: torch's own wheel asks for them where it needs them.
"""


def main() -> None:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "uv"], check=True)
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--upgrade"]
    command += [
        "--python-version",
        "3.11",
        "--group",
        "dev",
        "--extra",
        "toolbox",
        "--no-annotate",
        "--no-header",
        "pyproject.toml",
    ]
    lines = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    (ROOT / "requirements.txt").write_text(HEADER + lines)
    print(
        f"Wrote requirements.txt: {len(lines.splitlines())} packages. Run `make test` before you commit it."
    )


if __name__ == "__main__":
    main()
