"""Widgets: they call the notebook's function at once and on every change, and show what it returns."""

import ipywidgets
import numpy as np
import pytest
from traitlets import TraitError

from utils import widgets


def test_try_text_runs_at_once_and_on_each_click(capsys):
    seen = []
    box = widgets.try_text(lambda text: seen.append(text) or f"<{text}>", "first", label="Review:")
    area, button, _ = box.children
    assert area.description == "Review:"
    assert seen == ["first"] and "<first>" in capsys.readouterr().out
    area.value = "second"
    assert seen == ["first"]  # typing alone runs no model
    button.click()
    assert seen == ["first", "second"] and "<second>" in capsys.readouterr().out


def test_slide_runs_at_the_start_and_when_it_is_moved(capsys):
    seen = []
    slider = widgets.slide(
        lambda value: seen.append(value) or 2 * value, 0.0, 1.0, 0.25, 0.5, "threshold"
    ).children[0]
    assert (slider.min, slider.max, slider.step, slider.description) == (0.0, 1.0, 0.25, "threshold")
    assert seen == [0.5] and "1.0" in capsys.readouterr().out
    slider.value = 0.75
    assert seen == [0.5, 0.75] and "1.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("low", "high", "step", "start", "shown"),
    [(0, 31, 1, 5, "5"), (0, 1, 0.25, 0, "0.00"), (1, 9, 2.0, 3.5, "3.50")],
)
def test_slide_shows_whole_numbers_for_whole_choices(capsys, low, high, step, start, shown):
    slider = widgets.slide(lambda value: None, low, high, step, start, "pair").children[0]
    assert format(slider.value, slider.readout_format) == shown


def test_a_function_that_returns_nothing_shows_no_none(capsys):
    widgets.try_text(lambda text: print("drawn"), "x")
    shown = capsys.readouterr().out
    assert "drawn" in shown and "None" not in shown


def test_explore_runs_on_the_text_and_on_each_choice(capsys):
    seen = []
    parts = widgets.explore(
        lambda *a, **k: seen.append((a, k)), "a cat", layer=range(6), head=range(1, 3)
    ).children
    text, layer, head, _ = parts
    assert (layer.description, head.description, list(head.options)) == ("layer", "head", [1, 2])
    layer.value = 4
    text.value = "a dog"
    assert seen == [
        (("a cat",), {"layer": 0, "head": 1}),
        (("a cat",), {"layer": 4, "head": 1}),
        (("a dog",), {"layer": 4, "head": 1}),
    ]


def test_explore_opens_on_the_case_that_is_asked_for(capsys):
    seen = []
    layer, head = widgets.explore(
        lambda *a, **k: seen.append(k), "a cat", start={"head": 2}, layer=range(6), head=range(1, 3)
    ).children[1:3]
    assert (layer.value, head.value) == (0, 2)
    assert seen == [{"layer": 0, "head": 2}]  # one call, on the case itself
    layer.value = 3
    assert seen[1:] == [{"layer": 3, "head": 2}]


@pytest.mark.parametrize("start", [{"head": 12}, {"heads": 1}])
def test_explore_refuses_a_start_that_is_no_choice(capsys, start):
    with pytest.raises((TraitError, KeyError)):
        widgets.explore(lambda *a, **k: None, "a cat", start=start, head=range(12))


def test_paint_gives_the_grid_as_it_stands(capsys):
    seen = []
    rows = widgets.paint(
        lambda grid: seen.append(grid.tolist()), np.array([[True, False], [False, True]])
    ).children
    rows[0].children[1].value = True
    assert seen == [[[True, False], [False, True]], [[True, True], [False, True]]]


def texts_of(box) -> list[list[str]]:
    return [
        [part.value if isinstance(part, ipywidgets.Label) else part.tooltip for part in line.children]
        for line in box.children[:-1]
    ]


def test_paint_shows_labels_beside_and_above_the_buttons(capsys):
    seen = []
    box = widgets.paint(
        lambda grid: seen.append(grid.tolist()),
        np.eye(2, dtype=bool),
        rows=["q1", "q2"],
        columns=["k1", "k2"],
    )
    assert texts_of(box) == [["", "k1", "k2"], ["q1", "q1, k1", "q1, k2"], ["q2", "q2, k1", "q2, k2"]]
    box.children[1].children[2].value = True  # q1 may see k2
    assert seen == [[[True, False], [False, True]], [[True, True], [False, True]]]


def test_paint_takes_labels_on_one_side_only_and_as_many_as_there_are_lines(capsys):
    grid = np.zeros((1, 2), dtype=bool)
    assert texts_of(widgets.paint(lambda grid: None, grid, rows=["q"])) == [
        ["q", "q, column 0", "q, column 1"]
    ]
    assert texts_of(widgets.paint(lambda grid: None, grid, columns=["a", "b"]))[0] == ["a", "b"]
    for wrong in ({"rows": ["a", "b"]}, {"columns": ["a"]}):
        with pytest.raises(ValueError, match="zip"):
            widgets.paint(lambda grid: None, grid, **wrong)


def test_an_input_that_is_refused_shows_its_sentence_and_no_traceback(capsys):
    def refuse(text):
        raise ValueError("expected a word, got none.")

    widgets.try_text(refuse, "")
    shown = capsys.readouterr()
    assert "expected a word, got none." in shown.out and "Traceback" not in shown.out + shown.err
