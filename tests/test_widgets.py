"""Widgets: they call the notebook's function at once and on every change, and show what it returns."""

import numpy as np

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


def test_paint_gives_the_grid_as_it_stands(capsys):
    seen = []
    rows = widgets.paint(
        lambda grid: seen.append(grid.tolist()), np.array([[True, False], [False, True]])
    ).children
    rows[0].children[1].value = True
    assert seen == [[[True, False], [False, True]], [[True, True], [False, True]]]


def test_an_input_that_is_refused_shows_its_sentence_and_no_traceback(capsys):
    def refuse(text):
        raise ValueError("expected a word, got none.")

    widgets.try_text(refuse, "")
    shown = capsys.readouterr()
    assert "expected a word, got none." in shown.out and "Traceback" not in shown.out + shown.err
