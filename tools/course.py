"""Runs the notebooks in order with one progress bar, and writes readable HTML to build/course/.

`python tools/course.py [NAME …] [--store]`: all notebooks, or those whose file name starts with a
NAME. With --store (for authors) the outputs and the measured minutes are written into the
notebooks. Goes on after a failing notebook and then exits with 1.
"""

import argparse
import copy
import html
import itertools
import math
import os
import re
import sys
from pathlib import Path

import latex2mathml.converter
import nbformat
from nbconvert import HTMLExporter
from notebook_runs import ROOT, Run, code_cells, notebook_paths, run
from tqdm import tqdm

FORMULA = re.compile(r"\$\$(.+?)\$\$|\$(?! )([^$\n]+?)(?<! )\$", re.DOTALL)
WIDGET = "application/vnd.jupyter.widget-view+json"
NO_ALT = "No description has been provided for this image"  # what nbconvert writes
WRAP = "<style>.highlight pre { white-space: pre-wrap; }</style></head>"  # no code cut at the right
BUILD = ROOT / "build" / "course"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>The BERT workshop</title>
<style>body{{font:16px/1.5 sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}}td,th{{padding:.3rem 1rem .3rem 0;text-align:left}}</style>
<h1>The BERT workshop</h1><table><tr><th>Notebook</th><th>Seconds</th><th>Peak memory</th><th>Result</th></tr>
{rows}</table></html>
"""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="first letters of the notebooks' file names; default: all")
    parser.add_argument(
        "--store", action="store_true", help="write outputs and measured minutes into the notebooks"
    )
    options = parser.parse_args(arguments)
    paths = [
        path for path in notebook_paths() if not options.names or path.name.startswith(tuple(options.names))
    ]
    if not paths:
        print(
            f"No notebook starts with {' or '.join(options.names)}: see the names in notebooks/.",
            file=sys.stderr,
        )
        return 2
    BUILD.mkdir(parents=True, exist_ok=True)
    rows, failed = [], 0
    with tqdm(
        total=sum(map(code_cells, paths)), unit="cell", file=sys.stdout, disable=not sys.stdout.isatty()
    ) as bar:
        for path in paths:
            bar.set_description(path.stem)
            result = run(path, bar.update)
            failed += bool(result.error)
            bar.write(
                f"{path.stem:<28}{result.seconds:>6.0f} s {result.peak:>6.1f} GB  {result.error or 'ok'}",
                file=sys.stdout,
            )
            sys.stdout.flush()
            describe_figures(result.notebook)
            if options.store and not result.error:
                store(path, result)
            rows.append(write_page(path, result))
    replace_text(BUILD / "index.html", PAGE.format(rows="\n".join(rows)))
    print(f"Read them in {(BUILD / 'index.html').relative_to(ROOT)}.")
    return 1 if failed else 0


def write_page(path: Path, result: Run) -> str:
    """Write one notebook as HTML and return its row of the index."""
    body, _ = HTMLExporter().from_notebook_node(
        for_reading(result.notebook), resources={"metadata": {"name": path.stem}}
    )
    for output in (output for cell in result.notebook.cells for output in cell.get("outputs", [])):
        if "alt" in output.get("metadata", {}).get("image/png", {}):
            alt = html.escape(output.metadata["image/png"]["alt"])
            body = body.replace(f'alt="{NO_ALT}"', f'alt="{alt}"', 1)  # the figures come in the same order
    replace_text(BUILD / f"{path.stem}.html", body.replace('.ipynb"', '.html"').replace("</head>", WRAP))
    cells = (f"{result.seconds:.0f} s", f"{result.peak:.1f} GB", html.escape(result.error or "ok"))
    columns = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr><td><a href="{path.stem}.html">{path.stem}</a></td>{columns}</tr>'


def for_reading(notebook):
    """Return a copy for a page: formulas as MathML (no network needed), alt text in place, no dead widgets."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = FORMULA.sub(lambda found: mathml(found[1] or found[2], bool(found[1])), cell.source)
        else:
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    return notebook


def describe_figures(notebook) -> None:
    """Give each figure the alt text that stands in the markdown below it."""
    for cell, below in itertools.pairwise(notebook.cells):
        text = re.match(r"\*\*Alt text\.\*\* (.+)", below.source)
        for output in cell.get("outputs", []):
            if text and "image/png" in output.get("data", {}):
                output.metadata["image/png"] = {"alt": text[1]}


def mathml(formula: str, block: bool) -> str:
    return latex2mathml.converter.convert(formula, display="block" if block else "inline").replace("\n", "")


def store(path: Path, result: Run) -> None:
    """Write the executed notebook back, without what changes from run to run or breaks GitHub's view."""
    notebook = result.notebook
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    minutes = max(1, math.ceil(result.seconds / 60))
    plural = "minute" if minutes == 1 else "minutes"
    front = notebook.cells[0]
    front.source = re.sub(r"\*\*Runs in \d+ minutes?\*\*", f"**Runs in {minutes} {plural}**", front.source)
    replace_text(path, nbformat.writes(notebook) + "\n")


def replace_text(path: Path, text: str) -> None:
    """Write to a file beside `path` first, so that a cut leaves the old file whole."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8", newline="\n")
    os.replace(fresh, path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
