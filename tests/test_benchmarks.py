"""The race's arithmetic and its command line; nothing is trained here."""

import argparse
import json
from dataclasses import asdict, replace
from itertools import pairwise

import pytest
from helpers import load_script

from utils import finetuning
from utils.finetuning import Recipe


@pytest.fixture
def race(monkeypatch):
    script = load_script("benchmarks/finetuning.py")
    monkeypatch.setattr(
        finetuning.ProgressLine, "_write", finetuning.ProgressLine._write
    )  # main() replaces it
    return script


@pytest.fixture
def fake(race, monkeypatch):
    """Recipes that take no time: (seconds, tokenizer, model), and the name is the model."""
    prepared = []

    def prepare(dataset, rows, evaluation_rows, seed):
        prepared.append((dataset, rows, evaluation_rows, seed))
        return "task"

    monkeypatch.setattr(race, "prepare", prepare)
    monkeypatch.setattr(race, "stock", lambda task, seed: (40.0, None, "stock"))
    monkeypatch.setattr(race, "common", lambda task, seed: (10.0, None, "common"))
    monkeypatch.setattr(race, "course", lambda task, seed, recipe: (2.0 + seed, None, recipe))
    monkeypatch.setattr(race, "accuracy", lambda task, tokenizer, model: 80.0)
    return prepared


def options(**changes) -> argparse.Namespace:
    defaults = {
        "dataset": "sst2",
        "rows": 1000,
        "frozen": None,
        "epochs": None,
        "ladder": False,
        "only": None,
    }
    return argparse.Namespace(**(defaults | changes))


def test_the_table_has_means_spreads_medians_and_ratios_to_the_last(race):
    seconds = {"stock": (30.0, 50.0, 40.0), "course": (2.0, 4.0, 100.0)}
    accuracy = {"stock": (80.0, 82.0, 84.0), "course": (83.0, 83.0, 83.0)}
    runs = [
        {"recipe": name, "seed": seed, "seconds": seconds[name][seed], "accuracy": accuracy[name][seed]}
        for seed in range(3)
        for name in ("stock", "course")
    ]
    header, stock, course = race.table(runs, ("accuracy",)).splitlines()
    assert header.split() == ["recipe", "accuracy", "median", "s", "ratio"]
    assert stock.split() == [
        "stock",
        "82.00",
        "±",
        "2.00",
        "40.0",
        "10.0",
    ]  # medians: one slow run does not count
    assert course.split() == ["course", "83.00", "±", "0.00", "4.0", "1.0"]


def test_one_seed_has_no_spread(race):
    runs = [{"recipe": "course", "seed": 0, "seconds": 2.0, "accuracy": 90.0}]
    row = race.table(runs, ("accuracy",)).splitlines()[1]
    assert row.split() == ["course", "90.00", "±", "0.00", "2.0", "1.0"]


def test_the_ladder_adds_one_part_at_a_time_and_ends_with_ours(race):
    recipes = [asdict(recipe) for recipe in race.ladder().values()]
    changed = [
        {name for name in before if before[name] != after[name]} for before, after in pairwise(recipes)
    ]
    assert changed == [
        {"dropout"},
        {"batch_size"},
        {"learning_rate", "head_learning_rate", "warmup"},
        {"epochs"},
        {"frozen_layers"},
    ]
    first, last = recipes[0], recipes[-1]
    stock = {
        "epochs": 3,
        "batch_size": 8,
        "learning_rate": 5e-5,
        "head_learning_rate": 5e-5,
        "frozen_layers": 0,
    }
    assert stock.items() <= first.items()
    assert last == asdict(race.SHORT)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, lambda race: race.SHORT),
        ({"dataset": "imdb"}, lambda race: race.LONG),
        ({"rows": 0}, lambda race: race.ALL_ROWS),
        ({"frozen": 0, "epochs": 5}, lambda race: replace(race.SHORT, frozen_layers=0, epochs=5)),
    ],
)
def test_the_courses_recipe_fits_the_length_the_rows_and_the_options(race, fake, changes, expected):
    _, _, recipe = race.contestants(options(**changes))["course"]("task", 0)
    assert isinstance(recipe, Recipe) and recipe == expected(race)


def test_contestants_are_chosen_by_name(race):
    assert list(race.contestants(options())) == ["stock", "common", "course"]
    assert list(race.contestants(options(only=["course", "stock"]))) == ["stock", "course"]
    assert list(race.contestants(options(ladder=True))) == list(race.ladder())


def test_each_step_of_the_ladder_runs_its_own_recipe(race, fake):
    ran = [run("task", 0)[2] for run in race.contestants(options(ladder=True)).values()]
    assert ran == list(race.ladder().values())


def test_recipes_take_turns_and_every_run_is_written(race, fake, tmp_path, capsys):
    path = tmp_path / "build" / "race.json"
    arguments = [
        "--dataset",
        "sst2",
        "--rows",
        "50",
        "--seeds",
        "2",
        "--evaluation-rows",
        "7",
        "--json",
        str(path),
    ]
    assert race.main(arguments) == 0
    assert fake == [("sst2", 50, 7, 0), ("sst2", 50, 7, 1)]
    report = json.loads(path.read_text())
    turns = [(run["seed"], run["recipe"]) for run in report["runs"]]
    assert turns == [(seed, name) for seed in (0, 1) for name in ("stock", "common", "course")]
    assert (report["dataset"], report["rows"]) == ("sst2", 50)
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 6 + 4 and said[-3].split()[-1] == "16.0" and said[-2].split()[-1] == "4.0"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--dataset", "sst3"], "sst3"),
        (["--dataset", "squad"], "squad"),  # no classes
        (["--rows", "many"], "many"),
        (["--rows", "-5"], "--rows"),
        (["--seeds", "0"], "--seeds"),
        (["--only", "ours"], "--only"),
    ],
)
def test_a_wrong_option_is_named_and_exit_status_2(race, fake, arguments, word, capsys):
    with pytest.raises(SystemExit) as stop:
        race.main(arguments)
    assert stop.value.code == 2
    assert word in capsys.readouterr().err.splitlines()[-1]
    assert fake == []


def test_data_that_is_not_here_is_one_line_and_exit_status_2(race, capsys):
    assert race.main(["--dataset", "sst2", "--only", "course"]) == 2
    said, errors = capsys.readouterr()
    assert errors.count("\n") == 1 and "nyu-mll/glue" in errors and said == ""
