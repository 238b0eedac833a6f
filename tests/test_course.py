"""`make course`: every notebook is run, a failing one is reported and does not stop the others."""

import nbformat
import pytest
from helpers import load_script
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

FRONT = "# 01 First\n\n**Runs in 9 minutes** on two cores."


@pytest.fixture(scope="module")
def course():
    return load_script("tools/course.py")


def write(folder, name, *code):
    path = folder / f"{name}.ipynb"
    cells = [
        new_markdown_cell(FRONT),
        *map(new_code_cell, code),
        new_markdown_cell("[Next](02_second.ipynb)"),
    ]
    path.write_text(nbformat.writes(new_notebook(cells=cells)))
    return path


@pytest.fixture
def folder(course, monkeypatch, tmp_path):
    """Three tiny notebooks in a course of their own; the second one fails in its third cell."""
    monkeypatch.setattr(course, "ROOT", tmp_path)
    monkeypatch.setattr(course, "BUILD", tmp_path / "build" / "course")
    monkeypatch.setattr(course, "notebook_paths", lambda: sorted(tmp_path.glob("*.ipynb")))
    write(tmp_path, "01_first", "word = 'lamp'", "print(word * 2)")
    write(
        tmp_path,
        "02_second",
        "print('so far so good')",
        "prices = {}\nprices['<lamp>']",
        "print('never run')",
    )
    write(tmp_path, "03_third", "import os; print(os.path.basename(os.getcwd()))")
    return tmp_path


@pytest.fixture
def no_kernel(course, monkeypatch):
    """Runs that cost no time: the notebook as it is, 61 seconds, no error."""
    ran = []

    def run(path, on_cell):
        ran.append(path.stem)
        return course.Run(nbformat.read(path, as_version=4), 61.0, 0.5, "")

    monkeypatch.setattr(course, "run", run)
    return ran


def test_a_failing_notebook_is_reported_and_the_others_are_run(course, folder, capfd):
    before = {path.name: path.read_bytes() for path in folder.glob("*.ipynb")}
    assert course.main(["--store"]) == 1
    said, _ = capfd.readouterr()
    first, second, third, last = said.strip().splitlines()
    assert first.startswith("01_first") and first.endswith("ok") and " s " in first and " GB " in first
    assert second.startswith("02_second") and "cell 3: KeyError: '<lamp>'" in second
    assert third.startswith("03_third") and third.endswith("ok")
    assert "build/course/index.html" in last.replace("\\", "/")

    build = folder / "build" / "course"
    assert sorted(path.name for path in build.iterdir()) == [
        "01_first.html",
        "02_second.html",
        "03_third.html",
        "index.html",
    ]
    assert "lamplamp" in (build / "01_first.html").read_text()
    assert "KeyError" in (build / "02_second.html").read_text()
    assert folder.name in (build / "03_third.html").read_text()  # run in the notebook's own folder
    assert 'href="02_second.html"' in (build / "01_first.html").read_text()
    index = (build / "index.html").read_text()
    assert all(f'href="{name}.html"' in index for name in ("01_first", "02_second", "03_third"))
    assert index.count("<td>ok</td>") == 2 and "KeyError: &#x27;&lt;lamp&gt;&#x27;" in index

    assert (folder / "02_second.ipynb").read_bytes() == before[
        "02_second.ipynb"
    ]  # a failed run is not stored
    stored = nbformat.read(folder / "01_first.ipynb", as_version=4)
    assert [cell.execution_count for cell in stored.cells if cell.cell_type == "code"] == [1, 2]
    assert stored.cells[2].outputs[0].text == "lamplamp\n"
    assert not list(folder.glob("*.new"))


def test_all_well_is_exit_status_0_and_without_store_no_notebook_changes(course, folder, no_kernel, capsys):
    before = {path.name: path.read_bytes() for path in folder.glob("*.ipynb")}
    assert course.main([]) == 0
    assert no_kernel == ["01_first", "02_second", "03_third"]
    assert before == {path.name: path.read_bytes() for path in folder.glob("*.ipynb")}


def test_names_choose_notebooks_by_their_first_letters(course, folder, no_kernel):
    assert course.main(["03", "01_f"]) == 0
    assert no_kernel == ["01_first", "03_third"]


def test_an_unknown_name_is_one_line_and_exit_status_2(course, folder, no_kernel, capsys):
    assert course.main(["07", "first"]) == 2
    said, errors = capsys.readouterr()
    assert no_kernel == [] and said == ""
    assert errors.count("\n") == 1 and "07 or first" in errors
    assert not (folder / "build").exists()


@pytest.mark.parametrize(
    ("seconds", "words"), [(4, "1 minute"), (60, "1 minute"), (61, "2 minutes"), (179, "3 minutes")]
)
def test_store_keeps_counts_and_outputs_and_writes_the_minutes(course, tmp_path, seconds, words):
    path = write(tmp_path, "01_first", "1 + 1")
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata["widgets"] = {"application/vnd.jupyter.widget-state+json": {}}
    notebook.metadata["kernelspec"] = {"name": "my-own", "display_name": "My own", "language": "python"}
    code = notebook.cells[1]
    code.execution_count, code.metadata["execution"], code.metadata["tags"] = (
        1,
        {"iopub.execute_input": "now"},
        ["check"],
    )
    code.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "2"}, execution_count=1)]
    course.store(path, course.Run(notebook, seconds, 0.1, ""))
    stored = nbformat.read(path, as_version=4)
    nbformat.validate(stored)
    assert "widgets" not in stored.metadata and stored.metadata.kernelspec.name == "python3"
    assert stored.cells[1].metadata == {"tags": ["check"]}
    assert stored.cells[1].execution_count == 1 and stored.cells[1].outputs[0].data["text/plain"] == "2"
    assert f"**Runs in {words}** on two cores." in stored.cells[0].source
    assert path.read_text().endswith("}\n") and not list(tmp_path.glob("*.new"))


def test_the_memory_of_a_run_is_the_kernels_alone(course, folder):
    ballast = b"1" * 2**30  # memory of the caller, which a kernel shares while it starts
    result = course.run(folder / "01_first.ipynb")
    assert 0.01 < result.peak < 1 and result.seconds > 0 and result.error == ""
    del ballast
