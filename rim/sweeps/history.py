"""How a search went: the score of every trial in its order, and the best so far."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rim.report.style import COLOURS
from rim.sweeps.figures import PANEL_HEIGHT, bars, draw_baselines, draw_score, legend_beside, panel, seeds, sheet
from rim.sweeps.summary import PointSummary, Summary

WIDTH = 7.5
"""Inches."""
CROSSES = {"pruned": (COLOURS[1], "x"), "failed": (COLOURS[3], "+"), "running": ("0.5", "1")}
"""State of a trial without a score → colour and marker."""


def history(summary: Summary) -> Figure | None:
    """Trials that learn from, or at least follow, each other; None: the points are a grid, or nothing has finished."""
    metric = summary.result.metric
    points = sorted(summary.points, key=lambda point: point.point.number)
    scored = [point for point in points if metric in point.scores]
    if summary.result.sampler == "grid" or not scored:
        return None
    heading = f"Search by {summary.result.sampler}: {metric} accuracy of each trial, {seeds(summary)} each"
    figure = sheet(summary, WIDTH, PANEL_HEIGHT + 0.6, _note(summary), heading)
    axes = figure.subplots()
    panel(axes, "")
    _draw_scores(axes, scored, metric)
    _draw_others(axes, points)
    draw_baselines(axes, summary, metric)
    axes.set_xlabel("trial, in the order in which they began", fontsize=9.5)
    axes.set_ylabel(f"accuracy on {metric}", fontsize=9.5, parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend_beside(axes)
    return figure


def _draw_scores(axes: Axes, scored: list[PointSummary], metric: str) -> None:
    best: list[float] = []
    for point in scored:
        draw_score(axes, point.point.number, point.scores[metric], COLOURS[0], size=5)
        best.append(max([*best[-1:], point.scores[metric].value]))
    numbers = [point.point.number for point in scored]
    axes.plot([], [], "o", color=COLOURS[0], markersize=5, label="trial")
    axes.step(numbers, best, where="post", color=COLOURS[2], lw=1.8, zorder=3, label="best so far")


def _draw_others(axes: Axes, points: list[PointSummary]) -> None:
    """Trials without a score stand at the foot of the panel."""
    for state, (color, marker) in CROSSES.items():
        numbers = [point.point.number for point in points if point.point.state == state]
        if numbers:
            foot = axes.get_xaxis_transform()
            label = f"{state} ({len(numbers)})"
            axes.plot(numbers, [0.03] * len(numbers), marker, color=color, transform=foot, ms=6, label=label)


def _note(summary: Summary) -> str:
    without = any(not point.point.finished for point in summary.points)
    foot = "Trials at the foot have no score. " if without else ""
    lines = "Lines across: baselines, with their interval as a band. " if summary.baselines else ""
    return f"Bars: {bars(summary)}. {foot}{lines}The best of many noisy scores is higher than it would be again."
