"""Builds the slides: draws the figures, then turns each deck into HTML and PDF, with an index.

`python tools/slides.py [NN …] [--html-only] [--output FOLDER]`: all decks of slides/, or those with the
numbers NN; into build/slides. It needs Node.js with npm, and for the PDF a Chromium; the first run
fetches Marp into slides/node_modules. slides/README.md says how a deck is written.
"""

import argparse
import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from browser import HELP, browser_path
from course import replace_text
from matplotlib import pyplot as plt

ROOT = Path(__file__).resolve().parent.parent
SLIDES = ROOT / "slides"
MARP = SLIDES / "node_modules" / "@marp-team" / "marp-cli" / "marp-cli.js"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Slides of the BERT workshop</title>
<style>body{{font:16px/1.5 sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem}}td,th{{padding:.3rem 1rem .3rem 0;text-align:left}}</style>
<h1>Slides of the BERT workshop</h1><table><tr><th>Deck</th><th>Slides</th><th>Minutes</th><th></th></tr>
{rows}</table><p>In a deck: arrow keys to move, F for the full screen, P for the speaker's notes. To take
a deck with you, take the folder <code>figures</code> too, or the PDF alone.</p></html>
"""


class SlidesError(RuntimeError):
    """The slides cannot be built; the message is one line with the remedy."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("numbers", nargs="*", metavar="NN", help="numbers of the decks; default: all")
    parser.add_argument("--html-only", action="store_true", help="no PDF, and so no browser")
    parser.add_argument("--output", type=Path, default=Path("build/slides"), help="default: build/slides")
    options = parser.parse_args(arguments)
    folder = options.output.resolve()
    try:
        decks = chosen_decks(options.numbers)
        browser = None if options.html_only else find_browser()
        node = find_marp()
        figures = draw_figures(decks, folder / "figures")
        convert(decks, folder, node, browser)
    except SlidesError as error:
        print(error, file=sys.stderr)
        return 2
    write_index(folder)
    print(f"Decks: {len(decks)}, figures: {figures}. Open {options.output / 'index.html'}.")
    return 0


def deck_paths() -> list[Path]:
    return sorted(SLIDES.glob("[0-9][0-9]_*.md"))


def chosen_decks(numbers: list[str]) -> list[Path]:
    there = {path.name[:2]: path for path in deck_paths()}
    for number in numbers:
        if number not in there:
            raise SlidesError(f"There is no deck {number} in slides/: choose from {', '.join(there)}.")
    return [path for number, path in there.items() if not numbers or number in numbers]


# ----------------------------------------------------------------------------------- what it needs


def find_marp() -> str:
    """Return the path of node; install the pinned Marp first where it is missing."""
    node, npm = shutil.which("node"), shutil.which("npm")
    for program, package, path in (("node", "nodejs", node), ("npm", "npm", npm)):
        if path is None:
            remedy = f"install it (Debian: `sudo apt-get install {package}`)"
            raise SlidesError(f"The slides need {program}, which is not on this machine: {remedy}.")
    if version(SLIDES / "package-lock.json") != version(SLIDES / "node_modules" / ".package-lock.json"):
        print("Fetching Marp into slides/node_modules ...", flush=True)
        done = run_quietly([npm, "ci", "--no-audit", "--no-fund"])
        if done.returncode:
            reason = next((line for line in done.stderr.splitlines() if "error" in line), "no reason given")
            raise SlidesError(f"npm could not fetch Marp ({reason}): check the network and the registry.")
    return node


def version(lock: Path) -> str | None:
    """Return the version of Marp in a lock of npm, or in the note that npm leaves of what it has installed."""
    if not lock.exists():
        return None
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    return packages["node_modules/@marp-team/marp-cli"]["version"]


def find_browser() -> str:
    path = browser_path()
    if path is None:
        raise SlidesError(f"{HELP.rstrip('.')}, or build no PDF with --html-only.")
    return path


# ---------------------------------------------------------------------------------------- building


def draw_figures(decks: list[Path], folder: Path) -> int:
    """Draw the figures of these decks as SVG, under the quick profile, and return how many."""
    for name in [name for name in os.environ if name.startswith("BERT_WORKSHOP_")]:
        del os.environ[name]  # the slides show what the notebooks have stored
    sys.path.insert(0, str(SLIDES))
    from drawings import drawings_of
    from utils import plots, profile

    folder.mkdir(parents=True, exist_ok=True)
    plt.rcParams["svg.hashsalt"] = "slides"  # the same drawing gives the same file
    count = 0
    for deck in decks:
        for old in folder.glob(f"{deck.name[:2]}-*.svg"):
            old.unlink()
        for name, drawing in drawings_of(deck.name[:2]).items():
            plots.theme()
            profile.seed_everything(0)
            figure = drawing()
            figure.savefig(folder / f"{name}.svg", bbox_inches="tight", metadata={"Date": None})
            plt.close("all")
            count += 1
    return count


def convert(decks: list[Path], folder: Path, node: str, browser: str | None) -> None:
    """Turn the decks into HTML, and with a browser into PDF too."""
    copies = [shutil.copy(deck, folder) for deck in decks]  # beside the figures that they name
    for deck in decks:
        (folder / f"{deck.stem}.pdf").unlink(missing_ok=True)  # never a PDF older than its HTML
    try:
        run_marp(node, copies)
        if browser:
            run_marp(node, ["--pdf", "--allow-local-files", "--pdf-outlines", *copies], browser)
    finally:
        for copy in copies:
            Path(copy).unlink()


def run_marp(node: str, arguments: list, browser: str | None = None) -> None:
    more = ["--browser", "chrome", "--browser-path", browser] if browser else []
    command = [node, MARP, "--config-file", SLIDES / "package.json", *more, *arguments]
    # Marp starts the browser with --no-sandbox only for root.
    done = run_quietly(command)
    if done.returncode:
        raise SlidesError(f"Marp stopped: {' '.join(done.stderr.split())[-600:]}")


def run_quietly(command: list) -> subprocess.CompletedProcess:
    """Run a program that may not ask anything: Marp waits for a standard input that is open."""
    return subprocess.run(
        command, cwd=SLIDES, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace"
    )


def write_index(folder: Path) -> None:
    """Link every deck that stands in the folder."""
    rows = []
    for deck in deck_paths():
        if not (folder / f"{deck.stem}.html").exists():
            continue
        text = deck.read_text(encoding="utf-8")
        title = html.escape(re.search(r"^title: (.+)$", text, flags=re.MULTILINE)[1])
        minutes = sum(map(int, re.findall(r"^Minutes: (\d+)", text, flags=re.MULTILINE)))
        slides = len(re.findall(r"^---$", text, flags=re.MULTILINE)) - 1  # two fence the front matter
        pdf = f'<a href="{deck.stem}.pdf">PDF</a>' if (folder / f"{deck.stem}.pdf").exists() else ""
        link = f'<a href="{deck.stem}.html">{deck.name[:2]} {title}</a>'
        rows.append(f"<tr><td>{link}</td><td>{slides}</td><td>{minutes}</td><td>{pdf}</td></tr>")
    replace_text(folder / "index.html", PAGE.format(rows="\n".join(rows)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
