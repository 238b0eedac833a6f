"""Widgets: they call the notebook's function at once and on every change, and show what it returns."""

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
