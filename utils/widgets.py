"""The course's interactive pieces (ipywidgets 7.7 and 8). Each has a static twin in its notebook.

A widget calls a plain function of the notebook and shows what it returns; it computes nothing itself.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
import numpy as np
from IPython.display import display


def try_text(function: Callable[[str], Any], text: str, label: str = "Your text:") -> ipywidgets.VBox:
    """A box to type in and a button: shows `function(text)` below, for the first text at once."""
    box = ipywidgets.Textarea(
        value=text, description=label, layout=ipywidgets.Layout(width="40em", height="4em")
    )
    button = ipywidgets.Button(description="Run", tooltip="Run the model on this text")
    return _connect(button, "on_click", lambda: function(box.value), [box, button])


def slide(
    function: Callable[[float], Any], low: float, high: float, step: float, start: float, label: str
) -> ipywidgets.VBox:
    """A slider: shows `function(value)` below whenever it is moved."""
    whole = all(float(number).is_integer() for number in (low, step, start))
    slider = ipywidgets.FloatSlider(
        value=start,
        min=low,
        max=high,
        step=step,
        description=label,
        continuous_update=False,
        readout_format=".0f" if whole else ".2f",
    )
    return _connect(slider, "observe", lambda: function(slider.value), [slider])


def explore(
    function: Callable[..., Any], text: str, start: Mapping[str, Any] | None = None, **choices: Sequence
) -> ipywidgets.VBox:
    """A box of text and one slider for each of `choices`: shows `function(text, **chosen)` below.

    `explore(show, "A sentence.", start={"head": 4}, layer=range(6), head=range(12))` calls
    `show("A sentence.", layer=0, head=4)`: a slider that is not in `start` opens on its first choice.
    """
    wide = ipywidgets.Layout(width="40em")
    box = ipywidgets.Text(value=text, description="Text:", continuous_update=False, layout=wide)
    sliders = {
        name: ipywidgets.SelectionSlider(options=list(values), description=name, continuous_update=False)
        for name, values in choices.items()
    }
    for name, value in (start or {}).items():
        sliders[name].value = value

    def compute():
        return function(box.value, **{name: slider.value for name, slider in sliders.items()})

    return _connect([box, *sliders.values()], "observe", compute, [box, *sliders.values()])


def paint(
    function: Callable[[np.ndarray], Any],
    start: np.ndarray,
    rows: Sequence[str] = (),
    columns: Sequence[str] = (),
) -> ipywidgets.VBox:
    """A grid of buttons to switch on and off: shows `function(grid)` below, `grid` a bool array like `start`.

    `rows` are labels to show beside the buttons, `columns` labels to show above them.
    """
    width = max([3, *(1 + 0.6 * len(label) for label in (*rows, *columns))])
    size = ipywidgets.Layout(width=f"{width:.1f}em", height="2em", justify_content="center")
    row_names = rows or [f"row {row}" for row in range(start.shape[0])]
    column_names = columns or [f"column {column}" for column in range(start.shape[1])]
    buttons = [
        [
            ipywidgets.ToggleButton(value=bool(value), tooltip=f"{row}, {column}", layout=size)
            for column, value in zip(column_names, values, strict=True)
        ]
        for row, values in zip(row_names, start, strict=True)
    ]
    everything = [button for line in buttons for button in line]

    def labels(texts):
        return [ipywidgets.Label(text, layout=size) for text in texts]

    lines = [labels(columns), *buttons] if columns else buttons
    if rows:
        beside = labels(["", *rows] if columns else rows)  # an empty corner above the rows' labels
        lines = [[label, *line] for label, line in zip(beside, lines, strict=True)]

    def compute():
        return function(np.array([[button.value for button in line] for line in buttons]))

    return _connect(everything, "observe", compute, [ipywidgets.HBox(line) for line in lines])


def _connect(controls, event: str, compute: Callable[[], Any], parts: list) -> ipywidgets.VBox:
    output = ipywidgets.Output()

    def show(_change=None):
        output.clear_output(wait=True)
        with output:
            try:
                result = compute()
            except ValueError as error:  # an input that the function refuses: its sentence, no traceback
                print(error)
                return
            if result is not None:
                display(result)

    for control in controls if isinstance(controls, list) else [controls]:
        getattr(control, event)(show, **({"names": "value"} if event == "observe" else {}))
    show()
    return ipywidgets.VBox([*parts, output])
