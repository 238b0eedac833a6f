"""The course's interactive pieces (ipywidgets 7.7 and 8). Each has a static twin in its notebook.

A widget calls a plain function of the notebook and shows what it returns; it computes nothing itself.
"""

from collections.abc import Callable, Sequence
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
    slider = ipywidgets.FloatSlider(
        value=start,
        min=low,
        max=high,
        step=step,
        description=label,
        continuous_update=False,
        readout_format=".2f",
    )
    return _connect(slider, "observe", lambda: function(slider.value), [slider])


def explore(function: Callable[..., Any], text: str, **choices: Sequence) -> ipywidgets.VBox:
    """A box of text and one slider for each of `choices`: shows `function(text, **chosen)` below.

    `explore(show, "A sentence.", layer=range(6), head=range(12))` calls `show("A sentence.", layer=0, head=0)`.
    """
    wide = ipywidgets.Layout(width="40em")
    box = ipywidgets.Text(value=text, description="Text:", continuous_update=False, layout=wide)
    sliders = {
        name: ipywidgets.SelectionSlider(options=list(values), description=name, continuous_update=False)
        for name, values in choices.items()
    }

    def compute():
        return function(box.value, **{name: slider.value for name, slider in sliders.items()})

    return _connect([box, *sliders.values()], "observe", compute, [box, *sliders.values()])


def paint(function: Callable[[np.ndarray], Any], start: np.ndarray) -> ipywidgets.VBox:
    """A grid of buttons to switch on and off: shows `function(grid)` below, `grid` a bool array like `start`."""
    size = ipywidgets.Layout(width="3em", height="2em")
    buttons = [
        [
            ipywidgets.ToggleButton(value=bool(value), tooltip=f"row {row}, column {column}", layout=size)
            for column, value in enumerate(values)
        ]
        for row, values in enumerate(start)
    ]
    everything = [button for line in buttons for button in line]
    rows = [ipywidgets.HBox(line) for line in buttons]

    def compute():
        return function(np.array([[button.value for button in line] for line in buttons]))

    return _connect(everything, "observe", compute, rows)


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
