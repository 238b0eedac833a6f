"""Marks exercises: says what is wrong in the learner's terms, and never stops the notebook.

`check(name, answer)` returns the learner's answer if it is right and the course's solution if not,
so that the cells below always have something to stand on. The exercises themselves are in
`notebook_NN.py` beside this file.
"""

import ast
import inspect
import json
import math
import os
import re
import shutil
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from utils.profile import ROOT


@dataclass(frozen=True)
class Exercise:
    """One exercise. `problem(answer)` returns None if it is right, else one sentence for the learner.

    `wrong` holds plausible wrong answers, each with a word that its sentence must contain; the
    tests try them all.
    """

    title: str
    solution: Any
    problem: Callable[[Any], str | None]
    wrong: tuple[tuple[Any, str], ...]


def exercises(notebook: str) -> dict[str, Exercise]:
    """Return the exercises of notebook "06" by name ("06.1")."""
    return import_module(f"utils.checks.notebook_{notebook}").EXERCISES


def check(name: str, answer: Any) -> Any:
    """Mark `answer` to the exercise `name`, print the result, and return what the notebook goes on with."""
    exercise = exercises(name.split(".")[0])[name]
    message = verdict(exercise, answer)
    if message is None:
        record(name)
        print(f"{name} {exercise.title}: right.")
        return answer
    print(f"{name} {exercise.title}: {message}")
    return exercise.solution


def verdict(exercise: Exercise, answer: Any) -> str | None:
    """Return None for a right answer, else the sentence that the learner reads."""
    if is_open(answer):
        return "not attempted yet. Replace the ... and run the cell again; until then the course's solution carries on."
    try:
        message = exercise.problem(answer)
    except Exception as error:  # the learner's own code may raise anything
        message = (
            f"it raised {type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}."
        )
    return message and f"not yet: {message} Until then the course's solution carries on."


def named_mistake(
    value: float, sentences: dict[float, str], rel_tol: float = 1e-9, abs_tol: float = 0.0
) -> str | None:
    """Return the sentence on the wrong number that `value` is, or None; tolerances as in math.isclose."""
    close = (
        sentence
        for wrong, sentence in sentences.items()
        if math.isclose(value, wrong, rel_tol=rel_tol, abs_tol=abs_tol)
    )
    return next(close, None)


def is_open(answer: Any) -> bool:
    """True while the answer (a value, a list, a dictionary, or a function's body) still holds `...`."""
    values = (
        answer.values()
        if isinstance(answer, dict)
        else answer
        if isinstance(answer, (list, tuple))
        else [answer]
    )
    if any(value is Ellipsis for value in values):
        return True
    if not inspect.isfunction(answer):
        return False
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(answer)))
    except (OSError, TypeError, SyntaxError):
        return Ellipsis in answer.__code__.co_consts
    slices = [node.slice for node in ast.walk(tree) if isinstance(node, ast.Subscript)]
    indexing = {
        item for part in slices if isinstance(part, ast.Tuple) for item in part.elts
    }  # as in x[..., 0]
    holes = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value is Ellipsis]
    return any(hole not in indexing for hole in holes)


# --------------------------------------------------------------------------------------- progress

SOLVED = re.compile(r'"(\d\d\.\d+)"(?:\s*:\s*"([^"]*)")?')  # a name, and when it was solved


def progress_file() -> Path:
    """Where the solved exercises are kept: progress.json in the course's folder, or BERT_WORKSHOP_PROGRESS."""
    return Path(os.environ.get("BERT_WORKSHOP_PROGRESS") or ROOT / "progress.json")


def solved() -> dict[str, str]:
    """Return {exercise: when it was first solved}, as "2026-03-14 09:26" or "" where that is not known.

    A damaged file is read as far as it goes; `damaged` tells whether it is.
    """
    try:
        text = progress_file().read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return dict(sorted(SOLVED.findall(text)))


def damaged() -> bool:
    """True if the progress file is there and is not what `record` writes (older versions wrote a list)."""
    try:
        names = json.loads(progress_file().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    return not isinstance(names, (dict, list)) or sorted(map(str, names)) != list(solved())


def record(name: str) -> None:
    """Add `name` to the solved exercises; a folder that cannot be written to is no reason to stop.

    A damaged file is kept beside the new one, under a name that ends in .damaged.
    """
    done, path, now = solved(), progress_file(), datetime.now()
    fresh = path.with_suffix(".new")
    try:
        if damaged():
            aside = path.with_suffix(f".{now:%Y%m%d-%H%M%S}.damaged")
            shutil.copyfile(path, aside)
            kept = f"the old file is kept as {aside.name}"
            print(f"{path.name} was damaged: {len(done)} solved exercises could be read in it; {kept}.")
        done.setdefault(name, f"{now:%Y-%m-%d %H:%M}")
        fresh.write_text(json.dumps(dict(sorted(done.items())), indent=1), encoding="utf-8")
        os.replace(fresh, path)
    except OSError as error:
        print(f"Your progress could not be saved ({error.strerror}); the answer counts all the same.")


def progress(notebook: str) -> pd.DataFrame:
    """Return a table of the notebook's exercises: done or open."""
    done = solved()
    rows = [(name, ex.title, "done" if name in done else "open") for name, ex in exercises(notebook).items()]
    return pd.DataFrame(rows, columns=["exercise", "title", "state"]).set_index("exercise")


def summary() -> pd.DataFrame:
    """Return a table of all notebooks: how many exercises are solved, of how many, and when the last was.

    `python -m utils.checks` prints it and writes it as a page.
    """
    from utils.checks.page import notebooks  # it needs this module

    rows = [(book.title, len(book.done), len(book.exercises), book.last) for book in notebooks()]
    return pd.DataFrame(rows, columns=["notebook", "solved", "of", "last solved"]).set_index("notebook")
