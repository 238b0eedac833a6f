"""The race on questions, with a handful of the handbook's: both recipes train, answer and are written down."""

import json

import pytest
import torch
from helpers import load_script

from utils import finetuning


@pytest.fixture
def race(monkeypatch):
    monkeypatch.setattr(
        finetuning.ProgressLine, "_write", finetuning.ProgressLine._write
    )  # the race replaces it
    threads = torch.get_num_threads()
    yield load_script("benchmarks/question_answering.py")
    torch.set_num_threads(threads)


def test_both_recipes_run_and_every_run_is_written(race, tmp_path, capsys):
    path = tmp_path / "race.json"
    words = ["--dataset", "handbook", "--rows", "3", "--evaluation-rows", "4", "--threads", "1", "--json"]
    assert race.main([*words, str(path)]) == 0
    runs = json.loads(path.read_text())["runs"]
    assert [run["recipe"] for run in runs] == ["stock", "course"]
    assert all(0 <= run["EM"] <= run["F1"] <= 100 for run in runs)
    assert all(run["seconds"] > 0 and run["processor_seconds"] > 0 for run in runs)
    assert capsys.readouterr().out.splitlines()[-1].startswith("processor time: stock ")


def test_the_processors_ratio_is_of_medians(race):
    spent = {"stock": (8.0, 9.0, 40.0), "course": (1.0, 3.0, 100.0)}
    runs = [
        {"recipe": name, "processor_seconds": seconds}
        for turn in zip(*spent.values(), strict=True)
        for name, seconds in zip(spent, turn, strict=True)
    ]
    assert race.processor_ratio(runs) == "processor time: stock 3.0, course 1.0"


def test_without_the_data_one_line_says_so(race, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert race.main(["--dataset", "squad", "--rows", "3"]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "squad" in line and "HF_HUB_CACHE" in line
