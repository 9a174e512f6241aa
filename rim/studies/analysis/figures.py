"""Figures of an analysis: heat maps of shares by site and layer, projections of states, curves along training."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from rim.report.style import COLOURS, DPI, MARKERS, literal, plain, style_of
from rim.studies.analysis.projection import Projection

CELL_WIDTH, CELL_HEIGHT, WIDEST = 0.55, 0.32, 17
"""Inches: of a cell, and of the panels side by side."""
MOST_NAMES = 8
"""More values than this are coloured by their order."""


def heat_maps(
    title: str, panels: Mapping[str, np.ndarray], rows: Sequence[str], columns: Sequence[str], label: str
) -> Figure:
    """Shares between 0 and 1 as one panel [rows, columns] for each name; a cell of nan is left white.

    Panels stand side by side up to `WIDEST`, else in rows of the same length.
    """
    width = CELL_WIDTH * len(columns) + 0.4
    height = CELL_HEIGHT * len(rows) + 1.3
    down = math.ceil(len(panels) / max(1, int(WIDEST / width)))
    across = math.ceil(len(panels) / down)
    figure = Figure(figsize=(across * width + 2.6, down * height), dpi=DPI, layout="constrained")
    figure.suptitle(title, fontsize=10, x=0.01, ha="left", parse_math=False)
    axes = figure.subplots(down, across, squeeze=False, sharey=True).ravel().tolist()
    for empty in axes[len(panels) :]:
        empty.set_axis_off()
    for each, (name, share_RC) in zip(axes, panels.items(), strict=False):
        each.imshow(share_RC, cmap="viridis", vmin=0, vmax=1, aspect="auto")
        each.set_title(name, fontsize=9, loc="left", parse_math=False)
        each.set_xlabel("layer", fontsize=8)
        each.set_xticks(range(len(columns)), [name.removeprefix("layer ") for name in columns], fontsize=7, rotation=90)
        each.set_yticks(range(len(rows)), rows, fontsize=8)
        each.tick_params(length=0)
        each.spines[:].set_visible(False)
        for (row, column), share in np.ndenumerate(share_RC):
            if not np.isnan(share):
                ink = "black" if share > 0.6 else "white"
                each.text(column, row, f"{share:.2f}", ha="center", va="center", fontsize=6.5, color=ink)
    figure.colorbar(ScalarMappable(Normalize(0, 1), "viridis"), ax=axes, label=label, pad=0.01)
    return figure


def projections(found: Sequence[Projection]) -> Figure:
    """A row for each model and layer: the same points coloured by block and by value."""
    figure = Figure(figsize=(9.5, 3.6 * len(found)), dpi=DPI, layout="constrained")
    for row, one in zip(figure.subplots(len(found), 2, squeeze=False), found, strict=True):
        _scatter(row[0], one, one.block_R, "block")
        _scatter(row[1], one, one.value_R, "value after the step")
    return figure


def curves(update_C: Sequence[int], lines: Mapping[str, Sequence[float]], thick: Sequence[str]) -> Figure:
    """Shares of C checkpoints over updates, a line for each name, with gaps at nan; the names in `thick` stand out."""
    figure = Figure(figsize=(8, 4), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for index, (name, share_C) in enumerate(lines.items()):
        style = style_of(index)._replace(linewidth=2.5 if name in thick else 1.0)
        axes.plot(update_C, share_C, label=name, markersize=4, **style._asdict())
    axes.set_ylim(-0.03, 1.03)
    axes.set_xlabel("updates", fontsize=9)
    axes.set_ylabel("share", fontsize=9)
    axes.set_title("Along training", fontsize=10, loc="left")
    literal(axes.legend(fontsize=7, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)))
    plain(axes)
    return figure


def _scatter(axes: Any, one: Projection, of_R: np.ndarray, title: str) -> None:
    names = sorted({*of_R.tolist()}, key=lambda name: (len(str(name)), str(name)))
    style: dict[str, Any] = {"s": 9, "alpha": 0.6, "linewidths": 0}
    if len(names) > MOST_NAMES:
        order_R = np.array([names.index(name) for name in of_R.tolist()])
        axes.scatter(*one.place_R2.T, c=order_R, cmap="viridis", **style)
    for index, name in enumerate(names if len(names) <= MOST_NAMES else ()):
        here = one.place_R2[of_R == name]
        color, marker = COLOURS[index % len(COLOURS)], MARKERS[index]
        axes.scatter(*here.T, color=color, marker=marker, label=str(name), **style)
    if len(names) <= MOST_NAMES:
        literal(axes.legend(fontsize=7, markerscale=1.6, frameon=False, loc="center left", bbox_to_anchor=(1, 0.5)))
    axes.set_title(f"{one.model}, {one.layer}, by {title}", fontsize=9, loc="left")
    axes.set_xlabel(f"1st axis ({one.explained[0]:.0%} of the variance)", fontsize=8)
    axes.set_ylabel(f"2nd axis ({one.explained[1]:.0%})", fontsize=8)
    plain(axes)
