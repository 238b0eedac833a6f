"""The course's interactive pieces (ipywidgets 7.7 and 8). Each has a static twin in its notebook.

A widget calls a plain function of the notebook and shows what it returns; it computes nothing itself.
"""

from collections.abc import Callable
from typing import Any

import ipywidgets
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


def _connect(control, event: str, compute: Callable[[], Any], parts: list) -> ipywidgets.VBox:
    output = ipywidgets.Output()

    def show(_change=None):
        output.clear_output(wait=True)
        with output:
            result = compute()
            if result is not None:
                display(result)

    getattr(control, event)(show, **({"names": "value"} if event == "observe" else {}))
    show()
    return ipywidgets.VBox([*parts, output])
