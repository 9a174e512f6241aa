"""The figure of a benchmark: of every entry the time to the first token and to the end of the answer.

Columns are batch sizes, rows ways of decoding. A hollow circle is the first token, a full one the end, each with its
10th to 90th percentile; they stand a little apart, so that the spreads do not cover each other.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from rim.report.style import COLOURS, DPI, error_bars, plain
from rim.studies.benchmark.summary import Row, Spread, Summary

WIDTH, ROW_HEIGHT, HEAD = 4.8, 0.32, 1.3
"""Inches: of a panel, of an entry in it, and of titles and axes."""
REFERENCE, OTHER = "black", COLOURS[0]
APART = 0.14
"""Of the two circles of an entry, from its line."""


def latency_figure(summary: Summary) -> Figure:
    """All entries, on a logarithmic axis of milliseconds."""
    bench = summary.bench
    height = len(bench.decode) * (ROW_HEIGHT * len(bench.entries) + HEAD) + 0.4
    figure = Figure(figsize=(WIDTH * len(bench.batch_sizes) + 1.2, height), dpi=DPI, layout="constrained")
    panels = figure.subplots(len(bench.decode), len(bench.batch_sizes), squeeze=False, sharey=True, sharex="col")
    for way, line in zip(bench.decode, panels.tolist(), strict=True):
        for size, axes in zip(bench.batch_sizes, line, strict=True):
            rows = [row for row in summary.rows if row.case[1:] == (way, size)]
            _draw(axes, rows, bench.reference_entry)
            title = f"{size} question{'s' if size > 1 else ''} at a time, decode {way}"
            axes.set_title(title, fontsize=9, loc="left")
    for axes in panels[-1].tolist():
        axes.set_xlabel("milliseconds a batch, logarithmic")
    _legend(figure)
    return figure


def _draw(axes: Axes, rows: list[Row], reference: str) -> None:
    for place, row in enumerate(rows):
        colour = REFERENCE if row.case.entry == reference else OTHER
        ends = (row.first_ms.median, row.full_ms.median)
        axes.plot(ends, [place - APART, place + APART], color=colour, linewidth=2, alpha=0.3)
        _point(axes, row.first_ms, place - APART, colour, "white")
        _point(axes, row.full_ms, place + APART, colour, colour)
    axes.set_yticks(range(len(rows)), [row.case.entry for row in rows], parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(labelsize=8)
    plain(axes)


def _point(axes: Axes, times: Spread, place: float, colour: str, face: str) -> None:
    spread = error_bars([times.median], [times.p10], [times.p90])
    style: dict[str, Any] = {"markersize": 6, "markeredgecolor": colour, "markerfacecolor": face, "zorder": 3}
    axes.errorbar(times.median, place, xerr=spread, fmt="o", ecolor=colour, elinewidth=1, capsize=2, **style)


def _legend(figure: Figure) -> None:
    style: dict[str, Any] = {"marker": "o", "linestyle": "none", "color": REFERENCE}
    handles = [
        Line2D([], [], label="first token of the answer", markerfacecolor="white", **style),
        Line2D([], [], label="end of the answer", **style),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=8, frameon=False)
