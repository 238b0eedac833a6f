"""The mechanism that marks exercises. The exercises themselves are tested in test_exercises.py."""

import json
from pathlib import Path

import pytest

from utils import checks
from utils.checks import Exercise, check, verdict


def solution(x):
    return 2 * x


def problem(answer) -> str | None:
    result = answer(3)
    if result == 9:
        return "you squared the number; double it."
    return None if result == 6 else f"3 became {result}; it must become 6."


DOUBLE = Exercise("Doubling", solution, problem, wrong=((lambda x: x * x, "squared"),))
NUMBER = Exercise(
    "Counting", 6, lambda answer: None if answer == 6 else "count again.", wrong=((5, "again"),)
)


@pytest.fixture(autouse=True)
def exercises(monkeypatch):
    monkeypatch.setattr(checks, "exercises", lambda notebook: {"99.1": DOUBLE, "99.2": NUMBER})


def hole(x): ...


def hole_after_a_start(x):
    half = x / 2
    return half * ...


def hole_as_an_index(x):
    numbers = [x, 2 * x]
    return numbers[...]


def with_an_inner_hole(x):
    def double(y):
        return ...

    return double(x)


def right(x):
    """Right, and it indexes with an ellipsis, as NumPy and torch do."""
    numbers: dict[tuple[int, ...], int] = {(Ellipsis, 0): x}
    return numbers[..., 0] + x


def raises(x):
    raise KeyError("price")


def raises_without_a_word(x):
    raise ValueError


# ------------------------------------------------------------------------------------------- marking


@pytest.mark.parametrize(
    "answer", [..., hole, hole_after_a_start, hole_as_an_index, with_an_inner_hole, lambda x: ...]
)
def test_an_open_answer_is_not_attempted_and_the_solution_carries_on(answer, capsys):
    assert check("99.1", answer) is solution
    said = capsys.readouterr().out
    assert said.startswith("99.1 Doubling: not attempted yet.") and said.count("\n") == 1
    assert checks.solved() == {}


@pytest.mark.parametrize("answer", [[6, ...], (...,), {"a": ...}])
def test_a_list_or_dictionary_with_a_hole_is_open(answer):
    assert "not attempted" in verdict(NUMBER, answer)
    assert "not attempted" not in verdict(NUMBER, [6, 7])


def test_a_right_answer_is_returned_and_recorded(capsys):
    assert check("99.1", right) is right
    assert capsys.readouterr().out == "99.1 Doubling: right.\n"
    assert list(checks.solved()) == ["99.1"]


def test_a_plain_value_is_marked_too(capsys):
    assert check("99.2", ...) == 6
    assert check("99.2", 5) == 6
    assert check("99.2", 6) == 6
    open_, wrong, done = capsys.readouterr().out.splitlines()
    assert "not attempted" in open_ and "count again" in wrong and done.endswith("right.")


def test_a_wrong_answer_is_told_its_mistake_and_the_solution_carries_on(capsys):
    answer = DOUBLE.wrong[0][0]
    assert check("99.1", answer) is solution
    said = capsys.readouterr().out
    assert "not yet: you squared the number" in said and "course's solution carries on" in said
    assert checks.solved() == {}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (raises, "it raised KeyError: 'price'"),
        (raises_without_a_word, "it raised ValueError: no message"),
        (None, "it raised TypeError"),
        (lambda: 6, "it raised TypeError"),
    ],
)
def test_an_answer_that_raises_does_not_stop_the_notebook(answer, words, capsys):
    assert check("99.1", answer) is solution
    assert words in capsys.readouterr().out


def test_only_the_first_line_of_a_long_error_is_shown():
    def long(x):
        raise ValueError("first\nsecond")

    assert "first" in verdict(DOUBLE, long) and "second" not in verdict(DOUBLE, long)


def test_an_answer_typed_without_a_file_is_read_too():
    """In a cell whose source is gone, inspect finds nothing: the code object must do."""
    names = {}
    exec("def typed(x):\n    return ...\n\ndef done(x):\n    return 2 * x", names)
    assert "not attempted" in verdict(DOUBLE, names["typed"])
    assert verdict(DOUBLE, names["done"]) is None


# ------------------------------------------------------------------------------------------ progress


def test_progress_is_kept_between_visits_and_shown_as_a_table():
    check("99.2", 6)
    check("99.1", right)
    check("99.1", ...)  # a later look at the open exercise takes nothing away
    assert list(json.loads(checks.progress_file().read_text())) == ["99.1", "99.2"]
    checks.progress_file().write_text('["99.2", "06.1"]')  # another notebook's exercise does not matter
    assert checks.progress("99")["state"].to_dict() == {"99.1": "open", "99.2": "done"}
    assert checks.progress("99")["title"].to_dict() == {"99.1": "Doubling", "99.2": "Counting"}


def test_a_file_of_an_older_version_is_read_and_written_anew(capsys):
    checks.progress_file().write_text('["06.1", "99.2"]')
    assert checks.solved() == {"06.1": "", "99.2": ""} and not checks.damaged()
    check("99.1", right)
    assert "damaged" not in capsys.readouterr().out
    done = json.loads(checks.progress_file().read_text())
    assert list(done) == ["06.1", "99.1", "99.2"] and done["06.1"] == "" and done["99.1"]


def test_the_first_time_counts(monkeypatch):
    checks.progress_file().write_text('{"99.1": "2026-03-14 09:26"}')
    check("99.1", right)
    assert checks.solved() == {"99.1": "2026-03-14 09:26"}


@pytest.mark.parametrize(
    ("content", "readable"),
    [
        (b"", []),
        (b"7", []),
        (b"\xff\xfe", []),
        (b'[1, {}, ["99.1"], null]', ["99.1"]),
        (b'["06.1", "99.1"', ["06.1", "99.1"]),
        (b'{"06.1": "2026-03-14 09:26", "99.1": "2026-03', ["06.1", "99.1"]),
        (b'{"06.1": "2026-03-14 09:26"}\n<<<<<<< mine', ["06.1"]),
    ],
)
def test_a_damaged_progress_file_is_read_as_far_as_it_goes_and_kept(content, readable, capsys):
    path = checks.progress_file()
    path.write_bytes(content)
    assert list(checks.solved()) == readable and checks.damaged()
    assert check("99.2", 6) == 6
    said = capsys.readouterr().out
    assert f"{len(readable)} solved exercises could be read" in said and said.count("\n") == 2
    assert list(checks.solved()) == [*readable, "99.2"] and not checks.damaged()
    (kept,) = path.parent.glob("progress.*.damaged")
    assert kept.read_bytes() == content and kept.name in said


def test_a_folder_that_cannot_be_written_to_is_said_and_no_reason_to_stop(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("BERT_WORKSHOP_PROGRESS", str(tmp_path / "not there" / "progress.json"))
    assert check("99.2", 6) == 6
    said = capsys.readouterr().out
    assert "could not be saved" in said and "99.2 Counting: right." in said


def test_a_read_only_folder_is_said(monkeypatch, capsys):
    def refuse(path, *arguments, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "write_text", refuse)
    assert check("99.2", 6) == 6
    assert "could not be saved (Permission denied)" in capsys.readouterr().out


def test_a_cut_while_saving_leaves_the_old_progress(monkeypatch):
    check("99.2", 6)

    def cut(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checks.os, "replace", cut)
    check("99.1", right)
    assert list(checks.solved()) == ["99.2"]


def test_without_a_setting_progress_is_in_the_courses_folder(monkeypatch):
    monkeypatch.delenv("BERT_WORKSHOP_PROGRESS")
    assert checks.progress_file() == checks.ROOT / "progress.json"
