"""Every check passes its solution, knows an open exercise, and names the mistake in wrong answers."""

from pathlib import Path

import pytest

from utils import checks

NOTEBOOKS = sorted(
    path.stem.removeprefix("notebook_") for path in Path(checks.__file__).parent.glob("notebook_*.py")
)
ALL = [(name, exercise) for notebook in NOTEBOOKS for name, exercise in checks.exercises(notebook).items()]


def ids(case):
    return case if isinstance(case, str) else ""


@pytest.mark.parametrize(("name", "exercise"), ALL, ids=ids)
def test_the_solution_passes(name, exercise):
    assert checks.verdict(exercise, exercise.solution) is None


@pytest.mark.parametrize(("name", "exercise"), ALL, ids=ids)
def test_an_open_exercise_is_not_attempted(name, exercise, capsys):
    def unchanged(*arguments): ...

    assert checks.check(name, ...) is exercise.solution
    assert "not attempted" in capsys.readouterr().out
    assert "not attempted" in checks.verdict(exercise, unchanged)


@pytest.mark.parametrize(("name", "exercise"), ALL, ids=ids)
def test_plausible_wrong_answers_are_rejected_by_name(name, exercise):
    assert len(exercise.wrong) >= 2
    for answer, word in exercise.wrong:
        message = checks.verdict(exercise, answer)
        assert message is not None, f"{name}: a wrong answer passed"
        assert message.startswith("not yet:") and word in message, message
        assert "raised" not in message, message
        assert "\n" not in message


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_at_least_three_exercises(notebook):
    assert len(checks.exercises(notebook)) >= 3
