"""The race on a catalogue: both systems run, hidden cells stay hidden, and mistakes are one line."""

import json
import subprocess
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers import load_script

from utils.records import __main__ as command


@pytest.fixture
def race(tiny_bert, monkeypatch):
    monkeypatch.setenv("BERT_WORKSHOP_BACKBONE", str(tiny_bert))
    script = load_script("benchmarks/records.py")
    monkeypatch.setattr(script, "DIRECTIONS", 5)
    monkeypatch.setattr(script, "SWAPPED", 0.2)
    return script


@pytest.fixture
def catalogue(tmp_path):
    draw, rows = np.random.default_rng(0), []
    for number in range(100):
        film = draw.random() < 0.5
        rows.append(
            {
                "show_id": f"s{number}",
                "type": "film" if film else "show",
                "rating": "G" if film else "PG",
                "listed_in": "lamp, chair" if film else "chair, lamp",
                "title": "the good lamp" if film else "bad chair not",
                "director": None if draw.random() < 0.3 else "very good",
            }
        )
    path = tmp_path / "titles.parquet"
    pd.DataFrame(rows).to_parquet(path)
    return path


def test_both_tasks_run_and_the_table_says_who_is_ahead(race, catalogue, tmp_path, capsys):
    words = [
        "--data",
        str(catalogue),
        "--seeds",
        "1",
        "--epochs",
        "2",
        "--frozen",
        "0",
        "--json",
        str(tmp_path / "r.json"),
    ]
    assert race.main(words) == 0
    said = capsys.readouterr().out
    runs = json.loads((tmp_path / "r.json").read_text())["runs"]
    assert len(runs) == 2 * 2 * 3 and all(0 <= run.get("accuracy", 0) <= 100 for run in runs)
    assert {run["task"] for run in runs if "average precision" in run} == {"swap"}
    trees = [run["accuracy"] for run in runs if run["task"] == "fill" and run["system"] != "BERT"]
    assert trees == [100, 100, 100]  # each column follows from the others
    assert said.count("average precision") >= 3 and str(catalogue) not in (tmp_path / "r.json").read_text()


def test_the_hidden_cell_is_not_in_the_text_of_the_trees(race, catalogue):
    records, fields = race.read(catalogue, 0)
    assert "show_id" not in fields and {record["listed_in"] for record in records} == {"lamp", "chair"}
    trees = race.Trees(records, fields, 0)
    (text,) = trees._texts(records[:1], "rating")
    assert "[COL] rating [VAL] [COL]" in text


def test_scores_by_hand(race):
    chances = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.2, 0.8]])
    system = SimpleNamespace(values={"type": ("a", "b")}, probabilities=lambda records, category: chances)
    test = [{"type": value} for value in ("a", "b", "b", "b")]
    found = race.fill_scores(system, test, "type")
    assert found["accuracy"] == 75 and found["macro F1"] == pytest.approx(100 * (2 / 3 + 4 / 5) / 2)
    assert race.swap_score(system, test, np.array([False, True, False, False]), "type") == 100
    assert race.swap_score(system, test, np.array([True, False, False, False]), "type") == 25


def test_the_memory_of_the_command_is_measured(race, catalogue, tmp_path, monkeypatch):
    ran = []

    def here(module: str, words: list[str]) -> float:  # in this process: a fresh one takes seconds to start
        ran.append(words[0])
        assert module == "utils.records" and command.main(words) == 0
        return 100.0 + len(ran)

    monkeypatch.setattr(race, "peak_memory", here)
    words = ["--data", str(catalogue), "--tasks", "--memory", "--memory-rows", "60", "90"]
    assert race.main([*words, "--json", str(tmp_path / "m.json")]) == 0
    found = json.loads((tmp_path / "m.json").read_text())["memory"]
    assert ran == ["learn", "report", "report"] and found["peak_mib"] == {"60": 102, "90": 103}
    assert found["growth"] == pytest.approx(1 / 102)


def test_peak_memory_is_of_the_child_and_its_failure_is_told(tmp_path):
    tool = load_script("benchmarks/race.py")
    package = tmp_path / "greedy"
    package.mkdir()
    lines = ("def main(words):", "    taken = b'x' * (int(words[0]) << 20)", "    return not taken")
    (package / "__main__.py").write_text("\n".join(lines))
    small, large = (tool.peak_memory("greedy", [size], PYTHONPATH=str(tmp_path)) for size in ("1", "201"))
    assert 190 < large - small < 210
    with pytest.raises(subprocess.CalledProcessError):
        tool.peak_memory("greedy", ["0"], PYTHONPATH=str(tmp_path))


def test_mistakes_are_one_line(race, tmp_path, capsys):
    pd.DataFrame({"a": ["x"]}).to_csv(tmp_path / "t.csv", index=False)
    for path, part in ((tmp_path / "no.csv", "no such file"), (tmp_path / "t.csv", "no column 'type'")):
        assert race.main(["--data", str(path)]) == 2
        err = capsys.readouterr().err
        assert part in err and err.count("\n") == 1
