"""Boxes, arrows and rows of words, for drawings that are no charts.

A canvas is measured in units of its own, such that a text keeps its place whatever the slide. Not for data.
"""

from collections.abc import Sequence

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

GREY, PALE = "gainsboro", "whitesmoke"


def blank(size: tuple[float, float], width: float, height: float) -> tuple[Figure, Axes]:
    """Return a figure of `size` inches with one empty field of width x height units."""
    canvas, axes = plt.subplots(figsize=size)
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    canvas.subplots_adjust(0, 0, 1, 1)
    return canvas, axes


def box(
    axes: Axes, x: float, y: float, text: str, shade: str = "white", size: float = 13, dashed: bool = False
) -> None:
    """Write a text in a rounded box around (x, y)."""
    look = {"facecolor": shade, "edgecolor": "black", "linestyle": "--" if dashed else "-"}
    axes.text(
        x, y, text, ha="center", va="center", fontsize=size, linespacing=1.4,
        bbox={"boxstyle": "round,pad=0.45", **look},
    )  # fmt: skip


def arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], text: str = "", dashed: bool = False
) -> None:
    """Draw an arrow, with a text on its middle."""
    style = {"arrowstyle": "->", "color": "black", "lw": 1.6, "linestyle": "--" if dashed else "-"}
    axes.annotate("", end, start, arrowprops=style)
    if text:
        middle = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        axes.text(*middle, text, ha="center", va="center", fontsize=12, backgroundcolor="white")


def is_tag(text: str) -> bool:
    return text.startswith(("B-", "I-"))


def strip(
    axes: Axes,
    rows: dict[str, Sequence[str]],
    shades: Sequence[Sequence[str]],
    top: float,
    left: float,
    size: float = 12,
    row_height: float = 1.0,
) -> None:
    """Draw rows of cells under each other, one column for each word, as wide as its longest text.

    Args:
        rows: by name; all of one length.
        shades: for each row a colour for each of its cells.
        top, left: the upper left corner of the first cell; the names stand to the left of it.
    """
    letter = size / 72 / axes.figure.get_figwidth() * axes.get_xlim()[1]  # the height of one, in units
    widths = [
        max(len(text) * (0.69 if is_tag(text) else 0.61) for text in column) * letter + 0.8 * letter
        for column in zip(*rows.values(), strict=True)
    ]
    for number, ((name, texts), colours) in enumerate(zip(rows.items(), shades, strict=True)):
        y, x = top - (number + 1) * row_height, left
        axes.text(left - 0.2, y + row_height / 2, name, ha="right", va="center", fontsize=size)
        for text, colour, width in zip(texts, colours, widths, strict=True):
            look = {"facecolor": colour, "edgecolor": "grey", "linewidth": 0.8}
            axes.add_patch(plt.Rectangle((x, y), width, row_height * 0.92, **look))
            bold = "bold" if is_tag(text) else "normal"
            axes.text(
                x + width / 2,
                y + row_height * 0.46,
                text,
                ha="center",
                va="center",
                fontsize=size,
                weight=bold,
            )
            x += width
