"""Two figures of a comparison: accuracy against latency, and accuracy against the number of reasoning steps.

Budgets stand side by side, test sets below each other. The reference is black.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from rim.report.statistics import Estimate
from rim.report.style import DPI, Style, error_bars, literal, plain, style_of
from rim.report.tables import percent
from rim.studies.comparison.summary import EntrySummary, Summary

PANEL_WIDTH, PANEL_HEIGHT, LEGEND_WIDTH = 4.6, 3.4, 1.9
"""Inches."""


class Strip(NamedTuple):
    """Test sets of one task that stand in one panel, by their numbers of steps: the later ones go further."""

    title: str
    sources: tuple[str, ...]


def styles(summary: Summary) -> dict[str, Style]:
    """Entry → its style, the same in both figures."""
    names = list(dict.fromkeys(entry.entry for entry in summary.entries))
    others = [name for name in names if name != summary.reference]
    found = {summary.reference: Style("black", "o", "-", 2.4)}
    found |= {name: style_of(index) for index, name in enumerate(others)}
    return {name: found[name] for name in names}


def latency_figure(summary: Summary) -> Figure | None:
    """Accuracy with its interval over the milliseconds of a full answer (logarithmic); None: nothing was measured."""
    if not any(entry.cost.latency for entry in summary.entries):
        return None
    figure, panels = _grid(summary, len(summary.sources))
    for source, row in zip(summary.sources, panels, strict=True):
        for budget, axes in zip(summary.budgets, row, strict=True):
            timed = [entry for entry in summary.of(budget) if entry.cost.latency]
            _draw_latency(axes, timed, source, styles(summary))
            _title(axes, source, budget)
            if timed:
                _fit_latency(axes, timed)
    asked = {entry.cost.latency["source"] for entry in summary.entries if entry.cost.latency}
    for axes in panels[-1]:
        axes.set_xlabel(f"time to the full answer (ms, logarithmic)\non questions of {', '.join(sorted(asked))}")
    _legend(figure, summary)
    return figure


def _draw_latency(axes: Axes, entries: Sequence[EntrySummary], source: str, looks: dict[str, Style]) -> None:
    for entry in entries:
        times, score, look = entry.cost.latency["full_ms"], entry.tests[source].accuracy, looks[entry.entry]
        x, y = times["mean"], score.value
        spread = error_bars([x], [times["p10"]], [times["p90"]])
        height = error_bars([y], [score.low], [score.high])
        error: dict[str, Any] = {"elinewidth": 1, "capsize": 2, "markersize": 7, "zorder": 3}
        axes.errorbar(x, y, height, spread, fmt=look.marker, color=look.color, **error)


def _fit_latency(axes: Axes, entries: Sequence[EntrySummary]) -> None:
    """A logarithmic axis with few ticks in plain numbers."""
    times = [entry.cost.latency["full_ms"] for entry in entries]
    least, most = min(each["p10"] for each in times), max(each["p90"] for each in times)
    axes.set_xscale("log")
    axes.set_xlim(least / 1.25, most * 1.4)
    axes.xaxis.set_major_formatter(ScalarFormatter())
    if most / least < 30:
        axes.set_xticks(_ticks(*axes.get_xlim()))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two limits; where only one of 1, 2 and 5 lies there, finer ones."""
    for bases in ((1, 2, 5), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)):
        found = [base * 10.0**power for power in range(-2, 6) for base in bases if low <= base * 10.0**power <= high]
        if len(found) > 1:
            break
    return found


def steps_figure(summary: Summary) -> Figure | None:
    """Accuracy with its interval over the number of steps, test sets of a task joined; None: nothing to draw."""
    strips = strips_of(summary)
    if not strips:
        return None
    figure, panels = _grid(summary, len(strips))
    for strip, row in zip(strips, panels, strict=True):
        for budget, axes in zip(summary.budgets, row, strict=True):
            for entry in summary.of(budget):
                _draw_steps(axes, entry, strip, styles(summary)[entry.entry])
            _draw_borders(axes, summary, strip)
            _title(axes, strip.title, budget)
    for axes in panels[-1]:
        axes.set_xlabel("reasoning steps")
    _legend(figure, summary)
    return figure


def strips_of(summary: Summary) -> list[Strip]:
    """Test sets by task; those of one task whose numbers of steps do not overlap stand in one panel.

    One number of steps alone is no curve: the tables have it, and there is no panel.
    """
    found: list[Strip] = []
    for source in sorted(summary.sources, key=lambda source: min(_steps(summary, source))):
        if set(_steps(summary, source)) == {0}:
            continue  # no written steps
        task = source.partition("/")[0]
        for index, strip in enumerate(found):
            follows = _steps(summary, strip.sources[-1])[-1] < _steps(summary, source)[0]
            if strip.sources[0].partition("/")[0] == task and follows:
                found[index] = Strip(f"{task}: {', '.join((*strip.sources, source))}", (*strip.sources, source))
                break
        else:
            found.append(Strip(source, (source,)))
    return [strip for strip in found if len({n for source in strip.sources for n in _steps(summary, source)}) > 1]


def _steps(summary: Summary, source: str) -> list[int]:
    return sorted(summary.entries[0].tests[source].by_steps)


def _draw_steps(axes: Axes, entry: EntrySummary, strip: Strip, look: Style) -> None:
    scores: dict[int, Estimate] = {}
    for source in strip.sources:
        scores |= entry.tests[source].by_steps
    x = sorted(scores)
    axes.fill_between(
        x, [scores[n].low for n in x], [scores[n].high for n in x], color=look.color, alpha=0.13, linewidth=0
    )
    axes.plot(x, [scores[n].value for n in x], **look._asdict(), markersize=5)
    axes.set_ylim(-0.03, 1.12)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _draw_borders(axes: Axes, summary: Summary, strip: Strip) -> None:
    """A dashed line between two test sets, and their splits' names on either side of it."""
    for source, later in pairwise(strip.sources):
        border = (_steps(summary, source)[-1] + _steps(summary, later)[0]) / 2
        axes.axvline(border, color="0.35", linestyle="--", linewidth=1)
        style: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "top"}
        for name, side, offset in ((source, "right", -4), (later, "left", 4)):
            text = name.partition("/")[2]
            axes.annotate(text, (border, 1), xytext=(offset, -2), ha=side, fontsize=8, color="0.35", **style)


def _grid(summary: Summary, rows: int) -> tuple[Figure, list[list[Axes]]]:
    """A figure with a row of panels for each test set and a column for each budget."""
    columns = len(summary.budgets)
    size = (PANEL_WIDTH * columns + LEGEND_WIDTH, PANEL_HEIGHT * rows + 0.4)
    figure = Figure(figsize=size, dpi=DPI, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharey="row").tolist()
    for row in panels:
        row[0].set_ylabel(f"accuracy ({percent(summary.confidence)} interval)")
        for axes in row:
            plain(axes)
    return figure, panels


def _title(axes: Axes, source: str, budget: str) -> None:
    axes.set_title(f"{source}\nbudget {budget}" if budget else source, fontsize=9, loc="left", parse_math=False)


def _legend(figure: Figure, summary: Summary) -> None:
    labels = {name: name + (" (reference)" if name == summary.reference else "") for name in styles(summary)}
    handles = [
        Line2D([], [], label=labels[name], markersize=5, **look._asdict()) for name, look in styles(summary).items()
    ]
    literal(figure.legend(handles=handles, loc="outside right upper", fontsize=8, frameon=False, handlelength=3))
