"""The style that all figures share.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; markers and strokes tell apart what
shares one. What others are compared with is black.
"""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.legend import Legend

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8B6B00")
"""Okabe and Ito's, the yellow darkened so that it shows on white."""
MARKERS = "osD^vPX*<>"
STROKES = ("-", "--", ":", "-.")
DPI = 130


class Style(NamedTuple):
    """How one thing looks in every panel."""

    color: str
    marker: str
    linestyle: str
    linewidth: float


def style_of(index: int) -> Style:
    """The style of one thing among many beside a black reference; no two of the first 28 are alike."""
    stroke = STROKES[index // len(COLOURS) % len(STROKES)]
    return Style(COLOURS[index % len(COLOURS)], MARKERS[(index + 1) % len(MARKERS)], stroke, 1.5)


def plain(axes: Axes) -> None:
    """A pale grid, and a frame only where the numbers stand."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def literal(legend: Legend) -> None:
    """Show the texts of a legend as they are: a name may hold signs of formulas."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def error_bars(values: Sequence[float], lows: Sequence[float], highs: Sequence[float]) -> list[list[float]]:
    """Lengths below and above values, as `Axes.errorbar` takes them; a value outside its interval has one side."""
    return [
        [max(0.0, value - low) for value, low in zip(values, lows, strict=True)],
        [max(0.0, high - value) for value, high in zip(values, highs, strict=True)],
    ]
