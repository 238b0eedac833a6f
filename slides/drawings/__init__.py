"""The figures of the slides: one module for each deck, one function for each figure.

A drawing computes what it shows with the course's own utils and returns a Figure. `tools/slides.py` draws
it under `utils.plots.theme()` into build/slides/figures/NN-name.svg. Not for the notebooks' figures.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

# Sizes in inches at which the theme's letters are readable from the back row.
WIDE = (8.4, 3.5)  # as broad as the slide
HALF = (4.4, 3.9)  # beside text: class `split`
TWO_THIRDS = (6.0, 3.9)  # beside a little text: class `split-wide`

Drawing = Callable[[], Figure]
_registered: dict[str, dict[str, Drawing]] = {}


def figure(name: str) -> Callable[[Drawing], Drawing]:
    """Make a function of deck_NN.py the drawing of figures/NN-name.svg.

    Raises:
        ValueError: the deck has a drawing of that name already.
    """

    def register(drawing: Drawing) -> Drawing:
        deck = drawing.__module__.rsplit("_", 1)[1]  # drawings.deck_02 -> 02
        names = _registered.setdefault(deck, {})
        if name in names:
            raise ValueError(f"slides/drawings/deck_{deck}.py has two drawings {name!r}: rename one.")
        names[name] = drawing
        return drawing

    return register


def drawings_of(deck: str) -> dict[str, Drawing]:
    """Return the drawings of deck NN by file name without ending, such as "02-dot-products"."""
    if (Path(__file__).parent / f"deck_{deck}.py").exists():
        importlib.import_module(f"drawings.deck_{deck}")
    return {f"{deck}-{name}": drawing for name, drawing in _registered.get(deck, {}).items()}
