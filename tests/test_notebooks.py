"""The contract of the notebooks: what each committed notebook must keep to. It grows with the course."""

import itertools
import re
from pathlib import Path

import nbformat
import pytest

from utils import checks

ROOT = Path(__file__).resolve().parent.parent
PATHS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CHECKED = "nbval-check-output"
SECRET = re.compile(
    r"hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}|(?i:password|token)\s*=\s*['\"][^'\"]{8,}"
)
ABSOLUTE = re.compile(r"(?<![\w.:/])/(?:home|root|work|Users|tmp|opt|usr|content|mnt)/|[A-Z]:\\\\")
FLOAT = re.compile(r"(?<![\w.])\d+\.\d+(?![\w.])")
LINK = re.compile(r"\]\(([^)#\s]+\.ipynb)(?:#[^)]*)?\)")


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return nbformat.read(path, as_version=4)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def checked(notebook):
    return [cell for cell in code(notebook) if CHECKED in cell.metadata.get("tags", [])]


def text_of(output) -> str:
    if output.output_type == "stream":
        return output.text
    return "".join(str(value) for kind, value in output.get("data", {}).items() if kind.startswith("text/"))


def test_there_are_notebooks():
    assert {path.name[:2] for path in PATHS} >= {"00", "06"}


def test_executed_top_to_bottom(notebook):
    counts = [cell.execution_count for cell in code(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_outputs_are_stored_without_errors_or_warnings(notebook):
    outputs = [output for cell in code(notebook) for output in cell.outputs]
    assert outputs
    for output in outputs:
        assert output.output_type != "error", output
        assert not (output.output_type == "stream" and output.name == "stderr"), output.text
        assert not re.search(r"\b\w*Warning\b|\bwarning:", text_of(output)), text_of(output)[:300]


def test_checked_cells_have_something_to_compare(notebook):
    cells = checked(notebook)
    assert len(cells) >= 5
    for cell in cells:
        assert cell.execution_count is not None, cell.source
        assert "".join(map(text_of, cell.outputs)).strip(), cell.source


def test_checked_cells_state_claims_that_hold(notebook):
    for cell in checked(notebook):
        text = "".join(map(text_of, cell.outputs))
        assert not FLOAT.search(text), f"a bare float: {text}"
        assert "False" not in text, f"a claim does not hold: {text}"


def test_no_checked_cell_trains(notebook):
    for cell in checked(notebook):
        assert not re.search(r"finetuning\.train\(|fine_tune\(|learn\(|\.fit\(", cell.source), cell.source


def test_three_exercises_each_checked_once(path, notebook):
    names = re.findall(r'checks\.check\("([\d.]+)"', "\n".join(cell.source for cell in code(notebook)))
    assert len(names) >= 3
    assert names == list(checks.exercises(path.name[:2]))
    assert f'checks.progress("{path.name[:2]}")' in code(notebook)[-1].source


def test_folded_solutions_solve_the_exercises(path, notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for name, exercise in checks.exercises(path.name[:2]).items():
        block = re.search(
            rf"<summary>Solution {re.escape(name)}</summary>.*?```python\n(.*?)```", text, flags=re.DOTALL
        )
        assert block, f"{name} has no folded solution"
        scope: dict = {}
        exec("import math\nimport numpy as np\nimport torch\n" + block[1], scope)
        target = re.search(r"^(?:def (\w+)|(\w+) =)", block[1], flags=re.MULTILINE)
        assert checks.verdict(exercise, scope[target[1] or target[2]]) is None, name


def test_learner_starts_with_an_open_exercise(notebook):
    for cell in code(notebook):
        if "checks.check(" in cell.source:
            assert "..." in cell.source
            assert "not attempted" in "".join(map(text_of, cell.outputs))


def test_cells_are_short(notebook):
    for cell in code(notebook):
        assert len(cell.source.splitlines()) <= 25, cell.source[:80]


def test_a_notebook_is_no_book(notebook):
    words = sum(len(cell.source.split()) for cell in notebook.cells if cell.cell_type == "markdown")
    assert words <= 2500
    assert len(notebook.cells) <= 74


def test_no_absolute_path_and_no_secret(path, notebook):
    for cell in notebook.cells:
        everything = cell.source + "".join(text_of(output) for output in cell.get("outputs", []))
        assert not ABSOLUTE.search(everything), ABSOLUTE.search(everything)
        assert not SECRET.search(everything), SECRET.search(everything)


def test_no_widget_state_and_no_run_times(notebook):
    assert "widgets" not in notebook.metadata
    assert all("execution" not in cell.metadata for cell in notebook.cells)


def test_every_figure_has_alt_text_beside_it(notebook):
    for place, cell in enumerate(notebook.cells):
        if any("image/png" in output.get("data", {}) for output in cell.get("outputs", [])):
            beside = notebook.cells[place + 1] if place + 1 < len(notebook.cells) else None
            assert beside is not None and beside.source.startswith("**Alt text.**"), cell.source[-80:]
            figures = [output for output in cell.outputs if "image/png" in output.get("data", {})]
            assert all(figure.metadata["image/png"]["alt"] in beside.source for figure in figures)


def test_every_widget_has_a_static_twin(notebook):
    for place, cell in enumerate(notebook.cells):
        kinds = [set(output.get("data", {})) for output in cell.get("outputs", [])]
        if any("application/vnd.jupyter.widget-view+json" in kind for kind in kinds):
            near = kinds + [
                set(o.get("data", {}))
                for c in notebook.cells[place + 1 : place + 3]
                for o in c.get("outputs", [])
            ]
            assert any(kind & {"text/html", "image/png"} for kind in near), cell.source


def test_links_between_notebooks_resolve(path, notebook):
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for target in LINK.findall(cell.source):
                if not target.startswith("http"):
                    assert (path.parent / target).is_file(), target


def test_mistake_boxes_have_both_halves(notebook):
    boxes = [cell.source for cell in notebook.cells if "**Common mistake.**" in cell.source]
    assert boxes
    for box in boxes:
        assert box.count("✗") == box.count("✓") == box.count("**Common mistake.**")


def test_recap_quiz_and_what_comes_next(notebook):
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert "## Recap" in text and "## Quiz" in text
    assert len(re.findall(r"<details><summary><b>\d\.</b>", text)) == 3


def test_headings_are_in_order(notebook):
    levels = [
        len(line.split()[0])
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if re.match(r"#+ ", line)
    ]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
