"""Heat maps of the first two axes with listed values: a panel for each source, all in one colour scale."""

from collections.abc import Mapping
from itertools import product
from math import prod
from textwrap import fill
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from rim.report.statistics import Estimate
from rim.studies.sweeps.figures import LETTERS, NOTE_SIZE, chosen_by, seeds, sheet
from rim.studies.sweeps.outcome import Axis
from rim.studies.sweeps.scales import crowded, slant
from rim.studies.sweeps.summary import PointSummary, Summary
from rim.studies.sweeps.words import in_words, label_of, text_of

CELL_WIDTH, CELL_HEIGHT, LEAST_WIDTH = 0.82, 0.62, 2.4
"""Inches."""
MOST_ROWS = 4
"""Combinations of further axes with panels of their own; of more, every cell shows the best."""
FRAME = "#D55E00"


class Layout(NamedTuple):
    """Which axis goes across and which up, and what further axes are fixed at, a row of panels each."""

    across: Axis
    up: Axis
    rows: tuple[Mapping[str, Any], ...]


def layout_of(summary: Summary) -> Layout | None:
    """Numbers go across before names, and of two alike the axis with more values; None: no two axes have lists."""
    listed = [axis for axis in summary.result.axes if axis.values]
    if len(listed) < 2:
        return None
    up, across = sorted(listed[:2], key=lambda axis: (axis.numeric, len(axis.values)))
    further, ranges = listed[2:], len(listed) < len(summary.result.axes)
    if ranges or prod(len(axis.values) for axis in further) > MOST_ROWS:
        return Layout(across, up, ({},))
    names = [axis.name for axis in further]
    combinations = product(*(axis.values for axis in further))
    return Layout(across, up, tuple(dict(zip(names, values, strict=True)) for values in combinations))


def heat_map(summary: Summary) -> Figure | None:
    """Accuracy in every cell; None: there are no two axes with listed values, or nothing has finished."""
    layout = layout_of(summary)
    if layout is None or not summary.complete:
        return None
    figure, panels = _sheet(summary, layout)
    colours = _colours(summary)
    for row, fixed in zip(panels, layout.rows, strict=True):
        for axes, source in zip(row, summary.sources, strict=True):
            _draw(axes, summary, layout, fixed, source, colours)
            axes.set_title(_title(summary, fixed, source), fontsize=9, loc="left", parse_math=False)
        row[0].set_ylabel(_upright(in_words(layout.up), CELL_HEIGHT * len(layout.up.values)), fontsize=9.5)
    for axes in panels[-1]:
        axes.set_xlabel(in_words(layout.across), fontsize=9.5)
    flat = [axes for row in panels for axes in row]
    bar = figure.colorbar(colours, ax=flat, label="accuracy", pad=0.015, aspect=25)
    bar.outline.set_visible(False)
    return figure


def _sheet(summary: Summary, layout: Layout) -> tuple[Figure, list[list[Axes]]]:
    columns, rows = len(summary.sources), len(layout.rows)
    across, up = ([text_of(value) for value in axis.values] for axis in (layout.across, layout.up))
    panel_width = max(LEAST_WIDTH, CELL_WIDTH * len(across))
    slanted = crowded(across, panel_width)
    width = columns * (panel_width + 0.15) + 1.5 + 0.06 * max(map(len, up))
    height = rows * (CELL_HEIGHT * len(up) + 0.65 + 0.5 * slanted) + 0.4
    figure = sheet(summary, width, height, _note(summary), _heading(summary, layout))
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True, sharex=True).tolist()
    for axes in panels[-1]:
        axes.set_xticks([x + 0.5 for x in range(len(across))], across)
        if slanted:
            slant(axes)
    for row in panels:
        row[0].set_yticks([y + 0.5 for y in range(len(up))], up)
    return figure, panels


def _upright(label: str, height: float) -> str:
    """A label that fits beside a panel of so many inches: a remark in brackets gets a line of its own."""
    room = max(12, int(0.8 * LETTERS[NOTE_SIZE] * height))
    lines = [label] if len(label) <= room else label.replace(" (", "\n(").split("\n")
    return "\n".join(fill(line, room) for line in lines)


def _heading(summary: Summary, layout: Layout) -> str:
    spread = " ± sample standard deviation" if any(len(p.seeds) > 1 for p in summary.complete) else ""
    over = f"Mean accuracy{spread}, {seeds(summary)}" if spread else f"Accuracy, {seeds(summary)}"
    further = [axis for axis in summary.result.axes if axis not in (layout.across, layout.up)]
    if layout.rows == ({},) and further:
        over += f"; in each cell the point with the best {summary.result.metric} score over "
        over += " and ".join(in_words(axis) for axis in further)
    return over


def _note(summary: Summary) -> str:
    chosen = f"Framed: the best point by {summary.result.metric} accuracy. " if summary.best else ""
    missing = "" if len(summary.complete) == len(summary.points) else "Hatched: no score. "
    return f"{chosen}{missing}{chosen_by(summary)}"


def _title(summary: Summary, fixed: Mapping[str, Any], source: str) -> str:
    at = label_of(fixed, [axis for axis in summary.result.axes if axis.name in fixed])
    scores = {name: point.scores[source] for name, point in summary.baselines.items() if source in point.scores}
    baselines = [f"baseline {name}: {_words(score, ' ')}" for name, score in scores.items()]
    return "\n".join([f"{source}; {at}" if fixed else source, *baselines])


def _words(score: Estimate, between: str) -> str:
    spread = score.deviation
    return f"{score.value:.3f}" if spread is None else f"{score.value:.3f}{between}± {spread:.3f}"


def _colours(summary: Summary) -> ScalarMappable:
    values = [score.value for point in summary.complete for score in point.scores.values()]
    low, high = min(values), max(values)
    room = 0.0 if high > low else 0.05
    return ScalarMappable(Normalize(low - room, high + room), "viridis")


def _draw(
    axes: Axes, summary: Summary, layout: Layout, fixed: Mapping[str, Any], source: str, colours: ScalarMappable
) -> None:
    axes.set(xlim=(0, len(layout.across.values)), ylim=(0, len(layout.up.values)))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    for x, across in enumerate(layout.across.values):
        for y, up in enumerate(layout.up.values):
            point = cell(summary, {layout.across.name: across, layout.up.name: up, **fixed})
            if point is not None and source in point.scores:
                _fill(axes, x, y, point.scores[source], colours)
            else:
                _hatch(axes, x, y, point.state if point else "not run")
            if point is not None and point is summary.best:
                frame = Rectangle((x + 0.03, y + 0.03), 0.94, 0.94, fill=False, edgecolor=FRAME, linewidth=2.6)
                axes.add_patch(frame).set_zorder(5)


def cell(summary: Summary, values: Mapping[str, Any]) -> PointSummary | None:
    """Of the points with these values the one that scores best; where none has a score, any of them."""
    metric = summary.result.metric
    here = [point for point in summary.points if values.items() <= dict(point.values).items()]
    return max(here, key=lambda point: point.scores[metric].value if metric in point.scores else -1, default=None)


def _fill(axes: Axes, x: int, y: int, score: Estimate, colours: ScalarMappable) -> None:
    color = colours.to_rgba(np.array(score.value))
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor=color, edgecolor="white", linewidth=1.5))
    light = 0.299 * color[0] + 0.587 * color[1] + 0.114 * color[2] > 0.45
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 8.5, "linespacing": 1.25}
    axes.text(x + 0.5, y + 0.5, _words(score, "\n"), color="black" if light else "white", **style)


def _hatch(axes: Axes, x: int, y: int, state: str) -> None:
    axes.add_patch(Rectangle((x, y), 1, 1, facecolor="0.96", edgecolor="0.75", hatch="////", linewidth=0))
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}
    axes.text(x + 0.5, y + 0.5, state, ha="center", va="center", fontsize=8, color="0.3", bbox=box)
