"""Accuracy along every axis: a column of panels for each axis, a row for each source."""

from math import nan
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rim.report.statistics import Estimate
from rim.report.style import literal, plain, style_of
from rim.studies.sweeps.figures import (
    PANEL_HEIGHT,
    PANEL_WIDTH,
    bars,
    chosen_by,
    draw_baselines,
    draw_score,
    draw_seeds,
    left_out,
    ordered_legend,
    seeds,
    sheet,
)
from rim.studies.sweeps.outcome import VALIDATION, Axis
from rim.studies.sweeps.scales import Scale
from rim.studies.sweeps.summary import Summary
from rim.studies.sweeps.words import label_of, text_of

MOST_LINES = 8
"""Values of another axis with a line each."""
_POOLED = "mean over all points with the value"


class Mark(NamedTuple):
    """A score at a value of the axis."""

    value: Any
    score: Estimate


class Line(NamedTuple):
    """Scores that belong together; `stroke` is empty where nothing joins them."""

    label: str
    color: str
    marker: str
    stroke: str
    marks: tuple[Mark, ...]


def slices(summary: Summary) -> Figure | None:
    """A panel for each axis and source; None: nothing has finished."""
    if not summary.complete:
        return None
    figure, panels = _grid(summary)
    for axis, column in zip(summary.result.axes, zip(*panels, strict=True), strict=True):
        for axes, source in zip(column, summary.sources, strict=True):
            _draw(axes, summary, axis, source)
            if axes.get_subplotspec().is_first_col() or len(summary.result.axes) == 1:
                axes.set_ylabel(f"accuracy on {source}", fontsize=9.5, parse_math=False)
            if axes.get_subplotspec().is_last_row():
                Scale(axis).dress(axes, PANEL_WIDTH - 0.8)
        _legend(column[0])
    return figure


def _grid(summary: Summary) -> tuple[Figure, list[list[Axes]]]:
    """A figure with panels by source and axis; of one axis the sources stand side by side, each in its own scale."""
    axes, sources = len(summary.result.axes), len(summary.sources)
    rows, columns = (1, sources) if axes == 1 else (sources, axes)
    along = "" if axes == 1 else " along each axis"
    heading = f"Accuracy{along}, {seeds(summary)} a point"
    figure = sheet(summary, PANEL_WIDTH * columns + 0.4, PANEL_HEIGHT * rows + 0.7, _note(summary), heading)
    panels = figure.subplots(rows, columns, squeeze=False, sharey="row" if axes > 1 else False, sharex="col")
    return figure, (panels.T if axes == 1 else panels).tolist()


def _draw(axes: Axes, summary: Summary, axis: Axis, source: str) -> None:
    plain(axes)
    draw_baselines(axes, summary, source)
    scale = Scale(axis)
    lines = [line for line in lines_of(summary, axis, source) if line.marks]
    for index, line in enumerate(lines):
        beside = (index - (len(lines) - 1) / 2) / max(len(lines), 4)
        _draw_line(axes, scale, line, beside if axis.values else 0.0)


def _draw_line(axes: Axes, scale: Scale, line: Line, beside: float) -> None:
    if line.stroke:
        scores = {mark.value: mark.score.value for mark in line.marks}
        places = [scale.place(value, beside) for value in scale.axis.values]
        heights = [scores.get(value, nan) for value in scale.axis.values]  # a gap where there is no score
        axes.plot(places, heights, line.stroke, color=line.color, lw=1.3, zorder=3)
    for mark in line.marks:
        x = scale.place(mark.value, beside)
        draw_score(axes, x, mark.score, line.color, line.marker)
        if len(mark.score.per_seed) > 1:
            draw_seeds(axes, x, mark.score, line.color)
    axes.plot([], [], line.stroke + line.marker, color=line.color, markersize=6, lw=1.3, label=line.label)


def lines_of(summary: Summary, axis: Axis, source: str) -> list[Line]:
    """What stands in a panel: of a grid of two axes a line for each value of the other, else the mean over all points.

    Of a range, every point stands for itself, coloured by the values of the first other axis with a list.
    """
    if not axis.values:
        return _scattered(summary, axis, source)
    along = summary.along(axis)
    others = along[1:] if len(summary.result.axes) == 2 and 1 < len(along) <= 1 + MOST_LINES else along[:1]
    stroke = "-" if axis.numeric else ""
    average = _POOLED if len(summary.result.axes) > 1 else "mean over seeds"
    lines = []
    for index, each in enumerate(others):
        marks = [Mark(value.value, value.scores[source]) for value in each.values if source in value.scores]
        named = [other for other in summary.result.axes if other.name in each.fixed]
        label = label_of(each.fixed, named) if named else average
        lines.append(Line(label, *style_of(index)[:2], stroke, tuple(marks)))
    return lines


def _scattered(summary: Summary, axis: Axis, source: str) -> list[Line]:
    points = [point for point in summary.complete if source in point.scores and axis.name in point.values]
    points.sort(key=lambda point: point.values[axis.name])
    colouring = [other for other in summary.result.axes if 0 < len(other.values) <= MOST_LINES][:1]
    groups: dict[str, list[Mark]] = {text_of(value): [] for other in colouring for value in other.values}
    for point in points:
        key = text_of(point.values.get(colouring[0].name)) if colouring else ""
        groups.setdefault(key, []).append(Mark(point.values[axis.name], point.scores[source]))
    lines = []
    for index, (key, marks) in enumerate(groups.items()):
        label = label_of({colouring[0].name: key}, colouring) if colouring else "a point"
        lines.append(Line(label, *style_of(index)[:2], "", tuple(marks)))
    return lines


def _legend(axes: Axes) -> None:
    """Above the first panel of a column, so that it covers nothing."""
    handles, labels = ordered_legend(axes)
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (-0.02, 1.0), "borderaxespad": 0.2}
    columns = 1 if max(map(len, labels)) > 22 else 2
    literal(axes.legend(handles, labels, ncols=columns, fontsize=8, frameon=False, **place))


def _note(summary: Summary) -> str:
    pooled = any(line.label == _POOLED for axis in summary.result.axes for line in lines_of(summary, axis, VALIDATION))
    several = pooled or any(len(point.seeds) > 1 for point in summary.complete)
    uneven = pooled and any(value.points < value.expected for each in summary.slices for value in each.values)
    parts = [
        f"Bars: {bars(summary)}.",
        "Of means over points they hold what the other axes change, too." if pooled else "",
        "Small dots beside them: single runs." if several else "",
        "Lines across: baselines, with their interval as a band." if summary.baselines else "",
        left_out(summary),
        "Means over different numbers of points do not compare." if uneven else "",
        chosen_by(summary),
    ]
    return " ".join(part for part in parts if part)
