"""Makes data/tickets/tickets.jsonl from the tickets as they were written, and the checksums of all data.

`python tools/build_data.py`, after a change of anything under data/. The same input gives the same
files, byte by byte.

    data/tickets/written.jsonl   every ticket as its writer left it, with its labels
    data/tickets/catalogue.json  the product lines, their products, and the split of each line
"""

import json
import random
import sys
from pathlib import Path

from course import replace_text
from inject_shortfalls import inject

from utils import data
from utils.models import sha256
from utils.schemas import SCHEMAS

SEED = 7


def main() -> int:
    folder = data.FOLDER / "tickets"
    written = read(folder / "written.jsonl")
    catalogue = json.loads((folder / "catalogue.json").read_text(encoding="utf-8"))
    replace_text(folder / "tickets.jsonl", as_lines(tickets(written, catalogue)))
    replace_text(data.FOLDER / "MANIFEST.sha256", manifest(data.FOLDER))
    print("Wrote data/tickets/tickets.jsonl and data/MANIFEST.sha256.")
    return 0


def tickets(written: list[dict], catalogue: list[dict]) -> list[dict]:
    """Add what follows from the written columns: complete, origin, the random split, the injected defects."""
    rows = [
        ticket
        | {"complete": "no" if ticket["shortfalls"] else "yes", "origin": "natural", "random_split": split}
        for ticket, split in zip(written, random_splits(written), strict=True)
    ]
    return [{column: row[column] for column in SCHEMAS["tickets"]} for row in inject(rows, catalogue)]


def random_splits(written: list[dict], seed: int = SEED) -> list[str]:
    """Return a split for each ticket, drawn at random, with the sizes of the split by product line."""
    splits = [ticket["split"] for ticket in written]
    random.Random(seed).shuffle(splits)
    return splits


def manifest(folder: Path) -> str:
    """Return a line for each data file under `folder`, as sha256sum writes it."""
    found = [path for kind in ("*.json*", "*.safetensors") for path in folder.rglob(kind)]
    files = sorted(path for path in found if path.is_file())
    return "".join(f"{sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files)


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").removesuffix("\n").split("\n")]


def as_lines(rows: list[dict]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
