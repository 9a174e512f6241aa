"""Accuracy against blocks read, and against time: stopping rules between fixed numbers of blocks and an oracle."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rim.report.style import COLOURS, DPI, error_bars, plain
from rim.report.tables import percent

RULES = {"confidence": COLOURS[0], "agreement": COLOURS[2], "probe": COLOURS[1]}
AXES = {"blocks": "mean number of blocks read", "ms": "mean milliseconds to the full answer"}
NAMES = {"confidence": "confidence in the first token", "agreement": "agreement of answers", "probe": "probe"}

Record = Mapping[str, Any]


def adaptive_figure(facts: Record) -> Figure:
    """A line for every rule over its thresholds, dots for fixed numbers of blocks, a star for the oracle.

    Args:
        facts: what `results/<source>-early.json` holds: `source`, `examples`, `confidence`, `fixed`, `oracle` and
            `rules`, whose points have `blocks`, `accuracy`, `low` and `high`; with `ms` in them, too, a second panel
            shows time.
    """
    shown = [axis for axis in AXES if axis in facts["oracle"]]
    figure = Figure(figsize=(3 + 5 * len(shown), 4.2), dpi=DPI, layout="constrained")
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0].tolist()
    for axes, axis in zip(panels, shown, strict=True):
        _draw(axes, axis, facts)
    panels[0].set_ylabel(f"accuracy ({facts['examples']:,} examples)")
    panels[0].set_title(f"{facts['source']}: answers read early", fontsize=10, loc="left", parse_math=False)
    title = f"{percent(facts['confidence'])} intervals;\nlarge: chosen on held-out examples"
    legend: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5), "fontsize": 8, "frameon": False}
    panels[-1].legend(title=title, title_fontsize=8, alignment="left", **legend)
    return figure


def _draw(axes: Axes, axis: str, facts: Record) -> None:
    """All of it against blocks or milliseconds."""
    _draw_fixed(axes, axis, facts["fixed"])
    for name, rule in facts["rules"].items():
        _draw_rule(axes, axis, name, rule)
    oracle = facts["oracle"]
    style: dict[str, Any] = {"marker": "*", "markersize": 13, "color": "0.45", "linestyle": "none", "zorder": 4}
    axes.plot(oracle[axis], oracle["accuracy"], label="first right block (oracle)", **style)
    axes.set_xlabel(AXES[axis])
    plain(axes)


def _draw_fixed(axes: Axes, axis: str, points: Sequence[Record]) -> None:
    """Every number of blocks, the last of which is the score."""
    value, low, high = ([point[key] for point in points] for key in ("accuracy", "low", "high"))
    style: dict[str, Any] = {"fmt": "o", "color": "black", "markersize": 5, "elinewidth": 1, "capsize": 2, "zorder": 3}
    label = f"always block k{', in one pass' * (axis == 'ms')}"
    axes.errorbar([point[axis] for point in points], value, yerr=error_bars(value, low, high), label=label, **style)


def _draw_rule(axes: Axes, axis: str, name: str, rule: Record) -> None:
    points = sorted(rule["points"], key=lambda point: point[axis])
    places = [point[axis] for point in points]
    colour, chosen = RULES[name], rule["points"][rule["chosen"]]
    style: dict[str, Any] = {"color": colour, "linewidth": 1.5, "marker": "o", "markersize": 2.5}
    axes.plot(places, [point["accuracy"] for point in points], label=NAMES[name], **style)
    low, high = ([point[edge] for point in points] for edge in ("low", "high"))
    axes.fill_between(places, low, high, color=colour, alpha=0.1, linewidth=0)
    large: dict[str, Any] = {"marker": "D", "markersize": 8, "markeredgecolor": "white", "zorder": 5}
    axes.plot(chosen[axis], chosen["accuracy"], color=colour, linestyle="none", **large)
