"""What all figures look like.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; markers and strokes tell apart what
shares one. What others are compared with is black.
"""

import io
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rim.files import write_bytes

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
    """The look of one thing among many beside a black reference; no two of the first 28 are alike."""
    stroke = STROKES[index // len(COLOURS) % len(STROKES)]
    return Style(COLOURS[index % len(COLOURS)], MARKERS[(index + 1) % len(MARKERS)], stroke, 1.5)


def plain(axes: Axes) -> None:
    """A pale grid, and a frame only where the numbers stand."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def save(figure: Figure, path: Path) -> Path:
    """Write a PNG, atomically, and give its path back."""
    content = io.BytesIO()
    figure.savefig(content, format="png")
    write_bytes(path, content.getvalue())
    return path
