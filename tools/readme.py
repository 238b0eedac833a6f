"""Writes what follows from the notebooks and from the course's public address, so that nobody types it twice.

`python tools/readme.py [--check] [--picture]`. The address stands in pyproject.toml. Written are the
blocks of README.md and INSTRUCTORS.md between `<!-- NAME: … -->` and `<!-- end of NAME -->`, the Colab badge and the
bootstrap cell of each notebook, and the address in CITATION.cff. --check writes nothing and exits
with 1 if a file disagrees. --picture redraws assets/map_of_reviews.png.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from course import replace_text
from notebook_runs import ROOT

BADGE_IMAGE = "https://colab.research.google.com/assets/colab-badge.svg"
BOOTSTRAP = Path(__file__).with_name("bootstrap_cell.py.txt")
PICTURE = "assets/map_of_reviews.png"
PICTURE_CATEGORIES = ("bedding", "lighting", "kitchen", "garden")  # all seven at once are hard to tell apart


class ContractError(ValueError):
    """A file lacks what is to be read from it; the message is one line that names the file and the remedy."""


@dataclass(frozen=True)
class Front:
    """What a notebook's first cell says of it."""

    file: str
    title: str  # with its number: "06 Classification"
    minutes: int
    skills: tuple[str, ...]
    reading: int = 0  # minutes; 0 where it does not say


def main(arguments: list[str], root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file disagrees")
    parser.add_argument("--picture", action="store_true", help=f"redraw {PICTURE} (half a minute)")
    options = parser.parse_args(arguments)
    try:
        changed = [(path, text) for path, text in wanted(root) if path.read_text(encoding="utf-8") != text]
    except (ContractError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.check:
        if changed:
            name = changed[0][0].relative_to(root).as_posix()
            print(f"{name} disagrees with notebooks/ or pyproject.toml: run `make readme`.", file=sys.stderr)
        return 1 if changed else 0
    for path, text in changed:
        replace_text(path, text)
        print(f"Wrote {path.relative_to(root).as_posix()}.")
    if options.picture:
        draw_picture(root / PICTURE)
        print(f"Wrote {PICTURE}.")
    return 0


def wanted(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file that this command writes, with the text that it should have."""
    address = public_address(root)
    fronts = []
    for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        fronts.append(front(path))
        yield path, notebook_text(path, address)
    readme = root / "README.md"
    text = readme.read_text(encoding="utf-8")
    text = replace_block(readme, text, "fetch", fetch(address))
    text = replace_block(readme, text, "notebooks", table(fronts, address))
    text = replace_block(readme, text, "links", links(address))
    yield readme, text
    guide = root / "INSTRUCTORS.md"
    if guide.is_file():
        yield guide, replace_block(guide, guide.read_text(encoding="utf-8"), "objectives", objectives(fronts))
    citation = root / "CITATION.cff"
    text = citation.read_text(encoding="utf-8")
    yield citation, re.sub(r"^repository-code:.*$", f'repository-code: "{address}"', text, flags=re.MULTILINE)


def public_address(root: Path) -> str:
    """Return the Repository of pyproject.toml's [project.urls]."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project.get("urls", {}).get("Repository", "")
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", address):
        remedy = "write https://github.com/OWNER/NAME (Colab opens no other)"
        raise ContractError(f"pyproject.toml: Repository is {address!r}: {remedy}.")
    return address


# ---------------------------------------------------------------------------------------- notebooks


def front(path: Path) -> Front:
    """Read title, minutes and skills from a notebook's first cell.

    Raises:
        ContractError: one of them is missing.
    """
    cells = nbformat.read(path, as_version=4).cells
    source = cells[0].source if cells and cells[0].cell_type == "markdown" else ""
    title = re.match(rf"# ({path.name[:2]} \S.*)", source)
    minutes = re.search(r"^\*\*Runs in (\d+) minutes?\*\*", source, flags=re.MULTILINE)
    skills = re.search(r"^\*\*You will be able to\*\*\n\n?((?:- .+(?:\n|\Z))+)", source, flags=re.MULTILINE)
    for part, what in (
        (title, f"a first line such as `# {path.name[:2]} Title`"),
        (minutes, "a line that starts with `**Runs in 3 minutes**`"),
        (skills, "`**You will be able to**` and a list below it"),
    ):
        if part is None:
            raise ContractError(f"notebooks/{path.name}: the first cell needs {what}.")
    lines = tuple(line[2:].strip().rstrip(".;") for line in skills[1].splitlines())
    reading = re.search(r"Reading it takes about (\d+) minutes", source)
    return Front(path.name, title[1].strip(), int(minutes[1]), lines, int(reading[1]) if reading else 0)


def notebook_text(path: Path, address: str) -> str:
    """Return the notebook with the right badge and bootstrap cell; the file's own text if both are there."""
    text = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    first, code = notebook.cells[0], first_code_cell(path, notebook)
    before = first.source, code.source
    title, *rest = first.source.split("\n")
    rest = [line for line in rest if not line.startswith("[![Open in Colab]")]
    first.source = "\n".join([title, "", badge(path.name, address), "", *rest[count_empty(rest) :]])
    code.source = BOOTSTRAP.read_text(encoding="utf-8").replace("{address}", address).strip()
    return text if before == (first.source, code.source) else nbformat.writes(notebook) + "\n"


def first_code_cell(path: Path, notebook) -> nbformat.NotebookNode:
    code = next((cell for cell in notebook.cells if cell.cell_type == "code"), None)
    if code is None or (code.source.strip() and "utils.bootstrap" not in code.source):
        problem = "the first code cell is not the bootstrap cell: put an empty code cell there"
        raise ContractError(f"notebooks/{path.name}: {problem}.")
    return code


def count_empty(lines: list[str]) -> int:
    return next((index for index, line in enumerate(lines) if line.strip()), len(lines))


def badge(file: str, address: str) -> str:
    """Return the Markdown of the button that opens a notebook in Colab."""
    target = f"{address.replace('https://github.com/', 'https://colab.research.google.com/github/')}/blob/main/notebooks/{file}"
    return f"[![Open in Colab]({BADGE_IMAGE})]({target})"


# ------------------------------------------------------------------------------------------- README


def replace_block(path: Path, text: str, name: str, block: str) -> str:
    """Return `text`, the content of the file at `path`, with `block` between the comments that mark `name`."""
    pattern = re.compile(rf"(<!-- {name}:.*?-->\n).*?(<!-- end of {name} -->)", flags=re.DOTALL)
    if len(pattern.findall(text)) != 1:
        problem = f"needs `<!-- {name}: … -->` and `<!-- end of {name} -->`, each once and on its own line"
        raise ContractError(f"{path.name}: {problem}.")
    return pattern.sub(lambda match: f"{match[1]}\n{block}\n\n{match[2]}", text)


def fetch(address: str) -> str:
    lines = [f"git clone {address}", f"cd {address.rsplit('/', 1)[1]}", "make lab", "make test"]
    return "\n".join(["```", *lines, "```"])


def table(fronts: list[Front], address: str) -> str:
    """Return the table of the notebooks."""
    rows = ["| notebook | in Colab | minutes | you will be able to |", "|---|---|---|---|"]
    for entry in fronts:
        skills = "<br>".join(entry.skills).replace("|", "\\|")
        link = f"[{entry.title}](notebooks/{entry.file})"
        rows.append(f"| {link} | {badge(entry.file, address)} | {entry.minutes} | {skills} |")
    return "\n".join(rows)


def objectives(fronts: list[Front]) -> str:
    """Return the table of INSTRUCTORS.md."""
    rows = ["| notebook | runs | reading | learners will be able to |", "|---|---|---|---|"]
    for entry in fronts:
        skills = "<br>".join(entry.skills).replace("|", "\\|")
        link = f"[{entry.title}](notebooks/{entry.file})"
        rows.append(f"| {link} | {entry.minutes} min | {entry.reading or '?'} min | {skills} |")
    return "\n".join(rows)


def links(address: str) -> str:
    """Return the definitions of the links that the README's text uses by name."""
    binder = address.replace("https://github.com/", "https://mybinder.org/v2/gh/")
    return "\n".join(
        [
            f"[repository]: {address}",
            f"[archive]: {address}/archive/refs/heads/main.zip",
            f"[report]: {address}/issues",
            f"[binder]: {binder}/main?urlpath=lab/tree/notebooks/00_start_here.ipynb",
        ]
    )


# ------------------------------------------------------------------------------------------ picture


def draw_picture(path: Path) -> None:
    """Draw a map of English reviews as MiniLM sees them, coloured by a category that it was never told."""
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    import torch
    from sklearn.manifold import TSNE

    from utils import data, finetuning, models, plots
    from utils.profile import MINILM

    torch.set_num_threads(1)
    reviews = data.everything(data.load_classification("reviews"))
    reviews = data.where(reviews, language="en", category=PICTURE_CATEGORIES)
    tokenizer, model = models.load("encoder", MINILM)
    rows = finetuning.encode(tokenizer, reviews.select_columns("text"), max_length=128)
    vectors = finetuning.embed(model, rows)  # (reviews, 384)
    flatten = TSNE(metric="cosine", init="pca", perplexity=80, random_state=0)
    points = flatten.fit_transform(vectors)  # (reviews, 384) -> (reviews, 2)
    categories = np.array(reviews["category"])
    shared = np.mean(categories[nearest(points)] == categories)
    plots.theme()
    axes = plots.word_map(
        points,
        categories,
        "Reviews of one kind of product gather, though nobody told the model the kinds:\n"
        f"{shared:.0%} lie nearest to one of their own kind (by chance it would be {chance(categories):.0%})",
    )
    axes.collections[0].set_sizes([18])
    path.parent.mkdir(exist_ok=True)
    axes.figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})


def nearest(points):
    """Return for each point (points, 2) the index of the nearest other one."""
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=1).fit(points).kneighbors(return_distance=False)[:, 0]


def chance(categories) -> float:
    """Return how often two different texts drawn at random share their category."""
    counts = [list(categories).count(name) for name in set(categories)]
    total = sum(counts)
    return sum(count * (count - 1) for count in counts) / (total * (total - 1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
