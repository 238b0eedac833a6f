"""The bootstrap cell's check: silent when all is well, one sentence when not, and torch left alone."""

import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from types import SimpleNamespace

import pytest
from helpers import ROOT, assert_one_line
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from utils import bootstrap

# What Colab had installed in August 2026.
COLAB = {"torch": "2.11.0+cu128", "transformers": "5.15.0", "datasets": "4.0.0", "ipywidgets": "7.7.1"}


@pytest.fixture
def installed(monkeypatch):
    """The versions that bootstrap sees; a test changes them. At first everything fits."""
    versions = {
        requirement.name: bootstrap.version(requirement.name) for requirement in bootstrap.requirements()
    }

    def version(name):
        if name not in versions:
            raise PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(bootstrap, "version", version)
    return versions


@pytest.fixture
def pip(monkeypatch):
    """The command lines that would have been run; `code` is what they return."""
    calls = SimpleNamespace(lines=[], code=0)

    def run(command, **options):
        calls.lines.append(command)
        return SimpleNamespace(returncode=calls.code)

    monkeypatch.setattr(bootstrap.subprocess, "run", run)
    return calls


def test_it_is_silent_and_installs_nothing_when_all_is_well(pip, capfd):
    bootstrap.check_versions()
    assert capfd.readouterr() == ("", "")
    assert pip.lines == []


@pytest.mark.parametrize(
    ("name", "found"),
    [("transformers", "4.57.0"), ("datasets", "3.9"), ("ipywidgets", "9.0"), ("numpy", "1.2")],
)
def test_a_package_that_does_not_fit_is_named_with_the_remedy(installed, pip, name, found):
    installed[name] = found
    with pytest.raises(RuntimeError) as error:
        bootstrap.check_versions()
    assert_one_line(error, f"{name} {found}", f"%pip install '{name}", "restart the session")
    assert pip.lines == []  # a package that is in use is never replaced behind the learner's back


@pytest.mark.parametrize("found", ["2.4.1", "2.9.0+cu126", "3.0.0"])
def test_an_unfit_torch_is_never_reinstalled(installed, pip, found):
    installed["torch"] = found
    with pytest.raises(RuntimeError) as error:
        bootstrap.check_versions()
    assert_one_line(error, f"torch {found}", "Change runtime type", "never reinstalls torch")
    assert "pip install" not in str(error.value)
    assert pip.lines == []


def test_what_is_missing_and_nothing_else_is_installed_and_torch_is_held(installed, pip):
    installed |= {"torch": "2.11.0+cu128"}
    del installed["accelerate"], installed["seaborn"]
    bootstrap.check_versions()
    wanted = {str(r) for r in bootstrap.requirements() if r.name in ("accelerate", "seaborn")}
    (line,) = pip.lines
    assert line[:4] == [sys.executable, "-m", "pip", "install"]
    packages = {part for part in line[4:] if not part.startswith("-")}
    assert packages == wanted | {"torch==2.11.0+cu128"}  # the very version that is here: pip leaves it
    assert not {"--upgrade", "-U", "--force-reinstall"} & set(line)


def test_the_toolbox_is_looked_after_where_it_is_asked_for(installed, pip):
    installed |= {
        requirement.name: installed_version(requirement.name)
        for requirement in bootstrap.requirements("toolbox")
    }
    bootstrap.check_versions("toolbox")
    assert pip.lines == []
    del installed["onnx"]
    bootstrap.check_versions()
    assert pip.lines == []  # the other notebooks start without it
    bootstrap.check_versions("toolbox")
    (line,) = pip.lines
    assert any(part.startswith("onnx>") for part in line) and f"torch=={installed['torch']}" in line


def test_a_pip_that_fails_is_one_line(installed, pip):
    pip.code = 1
    del installed["seaborn"]
    with pytest.raises(RuntimeError) as error:
        bootstrap.check_versions()
    assert_one_line(error, "seaborn", "check the connection")


def test_a_missing_torch_is_said_and_nothing_is_installed(installed, pip):
    del installed["torch"], installed["seaborn"]
    with pytest.raises(RuntimeError) as error:
        bootstrap.check_versions()
    assert_one_line(error, "torch is missing", "Colab", "make lab")
    assert pip.lines == []


# --------------------------------------------------------------------------------- ranges and the lock


def lock() -> dict[str, set[str]]:
    """Return every version that requirements.txt pins, by package: some differ by Python version."""
    pins: dict[str, set[str]] = {}
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line):
            pins.setdefault(canonicalize_name(match[1]), set()).add(match[2])
    return pins


def test_the_ranges_admit_the_lock():
    pins = lock()
    for requirement in bootstrap.requirements() + bootstrap.requirements("toolbox"):
        versions = pins[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version) for version in versions), requirement.name


def test_the_tools_ranges_admit_the_lock():
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    pins = lock()
    for requirement in map(Requirement, groups["dev"]):
        versions = pins[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version) for version in versions), requirement.name


def test_the_ranges_admit_colab(installed, pip):
    installed |= COLAB
    bootstrap.check_versions()
    assert pip.lines == []


def test_the_lock_pins_torch_without_its_gpu_packages():
    assert lock()["torch"] == {"2.13.0"}
    gpu = [
        line
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line.startswith(("nvidia-", "triton"))
    ]
    assert all("sys_platform == 'never'" in line for line in gpu)
