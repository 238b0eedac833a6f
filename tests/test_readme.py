"""What is written once and stands in many places: the address, badges, the bootstrap cell, the README's table.

The bootstrap cell is run as on Colab: in an empty folder, in a kernel that does not see this course.
"""

import json
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from importlib.metadata import version
from pathlib import Path

import nbformat
import pytest
from helpers import ROOT
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

sys.path.append(str(ROOT / "tools"))
import cards
import readme

from utils import data

ADDRESS = readme.public_address(ROOT)
OTHER = "https://github.com/somebody-else/their.course"
FRONT = """# 06 Classification

One sentence of why.

**You will be able to**

- tell good | bad apart;
- read errors.

**Runs in 3 minutes** on two CPU cores."""


def save_notebook(path: Path, *sources: str, front: str | None = None) -> Path:
    cells = [nbformat.v4.new_markdown_cell(front)] if front else []
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(
        nbformat.v4.new_notebook(cells=cells + [nbformat.v4.new_code_cell(source) for source in sources]),
        path,
    )
    return path


# ---------------------------------------------------------------------------------- the repository itself


def test_the_repository_agrees_with_itself(capsys):
    assert readme.main(["--check"]) == 0, capsys.readouterr().err


def test_every_notebook_has_the_same_bootstrap_cell():
    wanted = readme.BOOTSTRAP.read_text(encoding="utf-8").replace("{address}", ADDRESS).strip()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
        assert code[0].source == wanted, path.name
        assert not code[0].outputs, f"{path.name}: the bootstrap cell must be silent"
        assert all("BERT_WORKSHOP_REPOSITORY" not in cell.source for cell in code[1:]), path.name


def test_the_bootstrap_cell_fits_the_contract(tmp_path):
    text = readme.BOOTSTRAP.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 25
    assert text.count("{address}") == 1
    (tmp_path / "cell.py").write_text(text, encoding="utf-8")
    for command in (["check"], ["format", "--check"]):
        ruff = [
            sys.executable,
            "-m",
            "ruff",
            *command,
            "--config",
            str(ROOT / "pyproject.toml"),
            "--no-cache",
        ]
        found = subprocess.run([*ruff, str(tmp_path / "cell.py")], capture_output=True, text=True)
        assert found.returncode == 0, found.stdout + found.stderr


def test_no_file_names_another_address():
    course = ADDRESS.removeprefix("https://github.com/")
    name = re.escape(course.split("/")[1])
    somebody = r"([\w.-]+/[\w.-]+)"
    pattern = rf"colab\.research\.google\.com/github/{somebody}|mybinder\.org/v2/gh/{somebody}|github\.com/([\w.-]+/{name})\b"
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for path in (ROOT / file for file in files if file):
        if path.is_file() and path.suffix not in {".png", ".safetensors"}:
            for groups in re.findall(pattern, path.read_text(encoding="utf-8")):
                assert "".join(groups) == course, path


def test_the_address_stands_in_no_source_but_pyproject():
    for folder in ("tools", "utils", "benchmarks", ".ci", ".github", ".devcontainer"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                assert ADDRESS not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize("name", cards.COUNTED)
def test_the_cards_count_right(name):
    assert cards.counts(name, data.load(name)) in (ROOT / "data" / name / "CARD.md").read_text(
        encoding="utf-8"
    )


# ------------------------------------------------------------------------------------ the command


@pytest.fixture
def course(tmp_path):
    """A small course whose files the command has not written yet."""
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\nname = "x"\n[project.urls]\nRepository = "{OTHER}"\n'
    )
    blocks = [
        f"<!-- {name}: note -->\nold\n<!-- end of {name} -->" for name in ("fetch", "notebooks", "links")
    ]
    (tmp_path / "README.md").write_text("\n\n".join(["# Title", *blocks, "The end.\n"]))
    (tmp_path / "CITATION.cff").write_text('title: "x"\nrepository-code: "old"\nversion: 1\n')
    save_notebook(tmp_path / "notebooks" / "06_classification.ipynb", "", "print(1)", front=FRONT)
    return tmp_path


def test_the_command_writes_everything_and_then_agrees(course, capsys):
    assert readme.main(["--check"], course) == 1
    assert "06_classification.ipynb" in capsys.readouterr().err
    assert "old" in (course / "README.md").read_text()  # --check has written nothing
    assert readme.main([], course) == 0
    assert readme.main(["--check"], course) == 0
    cells = nbformat.read(course / "notebooks" / "06_classification.ipynb", as_version=4).cells
    lines = cells[0].source.splitlines()
    assert lines[:5] == [
        "# 06 Classification",
        "",
        readme.badge("06_classification.ipynb", OTHER),
        "",
        "One sentence of why.",
    ]
    assert "/github/somebody-else/their.course/blob/main/notebooks/06_classification.ipynb" in lines[2]
    assert f'ADDRESS = "{OTHER}"' in cells[1].source
    assert cells[2].source == "print(1)"
    page = (course / "README.md").read_text()
    assert "[06 Classification](notebooks/06_classification.ipynb)" in page
    assert "| 3 | tell good \\| bad apart<br>read errors |" in page
    assert (
        f"git clone {OTHER}\ncd their.course\n" in page and page.endswith("The end.\n") and "old" not in page
    )
    assert f'repository-code: "{OTHER}"\nversion: 1' in (course / "CITATION.cff").read_text()


@pytest.mark.parametrize("file", ["README.md", "CITATION.cff", "notebooks/06_classification.ipynb"])
def test_check_names_the_file_that_disagrees(course, file, capsys):
    readme.main([], course)
    path = course / file
    path.write_text(path.read_text(encoding="utf-8").replace("somebody-else", "nobody"), encoding="utf-8")
    capsys.readouterr()
    assert readme.main(["--check"], course) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"{file} ") and captured.err.count("\n") == 1 and not captured.out


def test_a_new_address_replaces_the_old_one_everywhere(course):
    readme.main([], course)
    project = course / "pyproject.toml"
    project.write_text(project.read_text().replace(OTHER, ADDRESS))
    assert readme.main([], course) == 0
    for path in course.rglob("*"):
        assert path.is_dir() or "somebody-else" not in path.read_text(encoding="utf-8"), path


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("# 06 Classification", "# Classification", ["06_classification.ipynb", "# 06"]),
        ("**Runs in 3 minutes**", "It runs in 3 minutes", ["06_classification.ipynb", "Runs in"]),
        ("- tell", "tell", ["06_classification.ipynb", "You will be able to"]),
    ],
)
def test_a_first_cell_that_breaks_the_contract_is_one_line(course, old, new, words, capsys):
    save_notebook(course / "notebooks" / "06_classification.ipynb", "", front=FRONT.replace(old, new))
    assert readme.main([], course) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and all(word in error for word in words)
    assert "old" in (course / "README.md").read_text()  # nothing half-written


def test_somebodys_code_is_never_overwritten(course, capsys):
    path = save_notebook(course / "notebooks" / "06_classification.ipynb", "import torch", front=FRONT)
    before = path.read_bytes()
    assert readme.main([], course) == 2
    assert "bootstrap cell" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("address", ["", "https://example.org/course", "https://github.com/owner"])
def test_an_address_that_colab_cannot_open_is_one_line(course, address, capsys):
    project = course / "pyproject.toml"
    project.write_text(project.read_text().replace(OTHER, address))
    assert readme.main([], course) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "pyproject.toml" in error


# ------------------------------------------------------------------------------- the bootstrap cell


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """An empty folder, a kernel that does not see the editable install, and a pip that only notes its arguments."""
    kernel = tmp_path / "jupyter" / "kernels" / "alone"
    kernel.mkdir(parents=True)
    # -S leaves out the .pth files of site-packages, and with them the editable install.
    argv = [sys.executable, "-S", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "alone", "language": "python"})
    )
    pip = tmp_path / "shim" / "pip"
    pip.mkdir(parents=True)
    (pip / "__init__.py").touch()
    note = f"import pathlib, sys\npathlib.Path({str(tmp_path / 'pip.txt')!r}).write_text(' '.join(sys.argv[1:]))\nsys.exit(1)\n"
    (pip / "__main__.py").write_text(note)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path / "shim"), sysconfig.get_path("purelib")]))
    (tmp_path / "empty").mkdir()
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def publish(elsewhere: Path, monkeypatch, old: str = "", new: str = "") -> None:
    """Make a repository of the working tree's utils and pyproject.toml (`old` replaced by `new`) the public one."""
    folder = elsewhere / "public"
    (folder / "utils").mkdir(parents=True)
    for path in (ROOT / "utils").rglob("*.py"):
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert old in text
    (folder / "pyproject.toml").write_text(text.replace(old, new, 1) if old else text, encoding="utf-8")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "The course")
    monkeypatch.setenv("BERT_WORKSHOP_REPOSITORY", folder.as_uri())


def open_alone(elsewhere: Path, second_cell: str, folder: str = "empty") -> str:
    """Run the bootstrap cell and `second_cell` in `folder` and return what they print; the bootstrap cell is silent."""
    cell = readme.BOOTSTRAP.read_text(encoding="utf-8").replace("{address}", ADDRESS)
    notebook = nbformat.read(save_notebook(elsewhere / folder / "06.ipynb", cell, second_cell), as_version=4)
    NotebookClient(
        notebook, timeout=120, kernel_name="alone", resources={"metadata": {"path": str(elsewhere / folder)}}
    ).execute()
    assert notebook.cells[0].outputs == []
    assert all(
        output.output_type == "stream" and output.name == "stdout" for output in notebook.cells[1].outputs
    )
    return "".join(output.text for output in notebook.cells[1].outputs)


def one_sentence(failure: CellExecutionError) -> str:
    assert failure.ename == "RuntimeError"
    assert "\n" not in failure.evalue.strip() and failure.evalue.endswith(".")
    return failure.evalue


def test_a_notebook_opened_alone_fetches_the_course_and_touches_no_package(elsewhere, monkeypatch):
    publish(elsewhere, monkeypatch)
    said = open_alone(
        elsewhere,
        "import utils\nfrom utils import profile\nprint(profile.get_profile().name, utils.__file__)",
    )
    assert said.startswith("quick ")
    assert Path(said.split(" ", 1)[1].strip()).parent == elsewhere / "empty" / "bert-workshop" / "utils"
    assert not (elsewhere / "pip.txt").exists()


def test_a_second_run_uses_what_the_first_has_fetched(elsewhere, monkeypatch):
    publish(elsewhere, monkeypatch)
    open_alone(elsewhere, "print(1)")
    monkeypatch.setenv("BERT_WORKSHOP_REPOSITORY", "file:///nowhere/at/all")
    assert open_alone(elsewhere, "import utils.bootstrap\nprint(2)") == "2\n"


def test_in_the_repository_nothing_is_fetched_even_without_the_install(elsewhere, monkeypatch):
    publish(elsewhere, monkeypatch)
    monkeypatch.setenv("BERT_WORKSHOP_REPOSITORY", "file:///nowhere/at/all")
    assert open_alone(elsewhere, "import utils\nprint(utils.__file__)", "public/notebooks").strip() == str(
        elsewhere / "public" / "utils" / "__init__.py"
    )


def test_another_package_called_utils_does_not_stand_in(elsewhere, monkeypatch):
    publish(elsewhere, monkeypatch)
    (elsewhere / "shim" / "utils.py").write_text("OTHER = True\n")
    said = open_alone(elsewhere, "import utils\nprint(hasattr(utils, 'OTHER'), hasattr(utils, 'bootstrap'))")
    assert said == "False True\n"


def test_versions_that_do_not_fit_say_what_to_do(elsewhere, monkeypatch):
    publish(elsewhere, monkeypatch, "transformers>=5.10,<6", "transformers>=99")
    with pytest.raises(CellExecutionError) as error:
        open_alone(elsewhere, "print(1)")
    sentence = one_sentence(error.value)
    assert (
        f"transformers {version('transformers')}" in sentence
        and "%pip install 'transformers>=99'" in sentence
    )
    assert not (elsewhere / "pip.txt").exists()


def test_a_torch_that_does_not_fit_is_not_replaced(elsewhere, monkeypatch):
    publish(elsewhere, monkeypatch, "torch>=2.10,<3", "torch>=99")
    with pytest.raises(CellExecutionError) as error:
        open_alone(elsewhere, "print(1)")
    assert "never reinstalls torch" in one_sentence(error.value)
    assert not (elsewhere / "pip.txt").exists()


def test_a_missing_package_is_installed_beside_the_torch_that_is_there(elsewhere, monkeypatch):
    publish(elsewhere, monkeypatch, "tqdm>=4.66", "bert-workshop-missing>=1")
    with pytest.raises(CellExecutionError) as error:  # the stand-in for pip says no
        open_alone(elsewhere, "print(1)")
    assert "bert-workshop-missing" in one_sentence(error.value)
    asked = (elsewhere / "pip.txt").read_text().split()
    assert asked[0] == "install" and asked[-2:] == ["bert-workshop-missing>=1", f"torch=={version('torch')}"]


def test_a_wrong_address_is_one_sentence(elsewhere, monkeypatch):
    monkeypatch.setenv("BERT_WORKSHOP_REPOSITORY", (elsewhere / "nowhere").as_uri())
    with pytest.raises(CellExecutionError) as error:
        open_alone(elsewhere, "print(1)")
    assert "nowhere" in one_sentence(error.value)


def test_without_git_the_sentence_is_the_same(elsewhere, monkeypatch):
    monkeypatch.setenv("PATH", str(elsewhere / "empty"))
    with pytest.raises(CellExecutionError) as error:
        open_alone(elsewhere, "print(1)")
    assert "git is installed" in one_sentence(error.value)


# ------------------------------------------------------------------------- other files that must agree


def test_the_environments_name_what_is_there():
    assert "-r requirements.txt" in (ROOT / "environment.yml").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"version: {project['version']}" in citation
    wheel = re.search(r'MODEL_WHEEL = "(.+)"', (ROOT / "tools" / "setup_environment.py").read_text())[1]
    for file in ("environment.yml", "README.md"):
        assert wheel in (ROOT / file).read_text(encoding="utf-8"), file
