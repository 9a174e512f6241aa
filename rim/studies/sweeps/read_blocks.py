"""Finished models that are read with other numbers of blocks than they were trained with: a line for each."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from rim.report.statistics import Estimate
from rim.report.style import Style, plain, style_of
from rim.studies.sweeps.figures import (
    PANEL_HEIGHT,
    PANEL_WIDTH,
    bars,
    draw_baselines,
    draw_score,
    legend_beside,
    legend_width,
    seeds,
    sheet,
)
from rim.studies.sweeps.outcome import Axis
from rim.studies.sweeps.scales import Scale
from rim.studies.sweeps.summary import PointSummary, Summary, read_with

MOST_LINES = 7
"""Points with a line each, as many as there are colours."""


class Line(NamedTuple):
    """Accuracy by source and number of blocks read; `trained` is the number that it trained with, where known."""

    label: str
    trained: int | None
    scores: Mapping[str, Mapping[int, Estimate]]


def read_blocks(summary: Summary) -> Figure | None:
    """A panel for each source; None: no model was read with another number of blocks."""
    lines, heading = lines_of(summary)
    sources = list(dict.fromkeys(source for line in lines for source in line.scores))
    if not sources:
        return None
    names = [*(line.label for line in lines), *(f"baseline {name}" for name in summary.baselines)]
    width = PANEL_WIDTH * len(sources) + 0.3 + legend_width(names)
    bands = " Lines across: baselines, with their interval as a band." if summary.baselines else ""
    note = f"Ringed: as many blocks as in training. Bars: {bars(summary)}.{bands}"
    figure = sheet(summary, width, PANEL_HEIGHT + 0.7, note, f"{heading}, {seeds(summary)} a point")
    for axes, source in zip(figure.subplots(1, len(sources), squeeze=False)[0], sources, strict=True):
        _draw(axes, summary, lines, source)
    legend_beside(figure.axes[-1])
    return figure


def lines_of(summary: Summary) -> tuple[list[Line], str]:
    """A line for each point; of too many points for each number of trained blocks, else for the best points."""
    points = [point for point in summary.complete if point.read_with]
    heading = "Accuracy of finished models by the number of blocks that they are read with"
    trained = sorted({point.trained_blocks or 0 for point in points})
    if len(points) <= MOST_LINES:
        return [_line(point, summary) for point in points], heading
    if 1 < len(trained) <= MOST_LINES:
        groups = {blocks: [point for point in points if (point.trained_blocks or 0) == blocks] for blocks in trained}
        pooled = {blocks: read_with(members, summary.result.confidence) for blocks, members in groups.items()}
        lines = [Line(f"trained with K = {blocks}", blocks, scores) for blocks, scores in pooled.items()]
        return lines, f"{heading}, mean over all other settings"
    metric = summary.result.metric
    best = sorted(points, key=lambda point: -point.scores[metric].value if metric in point.scores else 1)[:MOST_LINES]
    return [_line(point, summary) for point in best], f"{heading}: the best {MOST_LINES} points by {metric} accuracy"


def _line(point: PointSummary, summary: Summary) -> Line:
    alone = [axis.name for axis in summary.result.axes] == ["memory.blocks"]
    label = f"trained with K = {point.trained_blocks}" if alone else point.label
    return Line(label, point.trained_blocks, point.read_with)


def _draw(axes: Axes, summary: Summary, lines: list[Line], source: str) -> None:
    plain(axes)
    axes.set_title(source, fontsize=9, loc="left", parse_math=False)
    draw_baselines(axes, summary, source)
    shown = [line for line in lines if source in line.scores]
    read = sorted({blocks for line in shown for blocks in line.scores[source]})
    scale = Scale(Axis("blocks read", tuple(read)))
    for index, line in enumerate(shown):
        places = {blocks: scale.place(blocks, 0.09 * (index - (len(shown) - 1) / 2)) for blocks in line.scores[source]}
        _draw_line(axes, places, line, line.scores[source], style_of(index))
    scale.dress(axes, PANEL_WIDTH)
    axes.set_xlabel("blocks read at inference", fontsize=9.5)
    axes.set_ylabel("accuracy", fontsize=9.5)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())


def _draw_line(
    axes: Axes, places: Mapping[int, float], line: Line, scores: Mapping[int, Estimate], look: Style
) -> None:
    read = sorted(scores)
    heights = [scores[blocks].value for blocks in read]
    axes.plot([places[blocks] for blocks in read], heights, look.linestyle, color=look.color, lw=1.3, zorder=3)
    for blocks in read:
        draw_score(axes, places[blocks], scores[blocks], look.color, look.marker, 4.5)
    if line.trained is not None and line.trained in scores:
        ring: dict[str, Any] = {"markersize": 13, "markerfacecolor": "none", "markeredgewidth": 1.6, "zorder": 5}
        at = (places[line.trained], scores[line.trained].value)
        axes.plot(*at, "o", markeredgecolor=look.color, gid="trained", **ring)
    axes.plot([], [], look.linestyle + look.marker, color=look.color, markersize=4.5, lw=1.3, label=line.label)
