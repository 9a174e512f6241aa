"""Accuracy against blocks read: stopping rules between fixed numbers of blocks and an oracle."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = {"confidence": "#0072B2", "agreement": "#009E73", "probe": "#D55E00"}
NAMES = {"confidence": "confidence in the first token", "agreement": "equal answers", "probe": "probe"}

Record = Mapping[str, Any]


def adaptive_picture(facts: Record) -> Figure:
    """A line for every rule over its thresholds, dots for fixed numbers of blocks, a star for the oracle.

    Args:
        facts: what `results/<source>-adaptive.json` holds: `source`, `examples`, `confidence`, `fixed`, `oracle` and
            `rules`, whose points have `blocks`, `accuracy`, `low` and `high`.
    """
    figure = Figure(figsize=(8, 4.2), dpi=130, layout="constrained")
    axes = figure.subplots()
    _draw_fixed(axes, facts["fixed"])
    for name, rule in facts["rules"].items():
        _draw_rule(axes, name, rule)
    oracle = facts["oracle"]
    style: dict[str, Any] = {"marker": "*", "markersize": 13, "color": "0.45", "linestyle": "none", "zorder": 4}
    axes.plot(oracle["blocks"], oracle["accuracy"], label="first right block (oracle)", **style)
    axes.set_xlabel("mean number of blocks read")
    axes.set_ylabel(f"accuracy ({facts['examples']:,} examples)")
    axes.set_title(f"{facts['source']}: answers read early", fontsize=10, loc="left", parse_math=False)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    title = f"{100 * facts['confidence']:g} % intervals;\nlarge: chosen on held-out examples"
    legend: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5), "fontsize": 8, "frameon": False}
    axes.legend(title=title, title_fontsize=8, alignment="left", **legend)
    return figure


def _draw_fixed(axes: Axes, points: Sequence[Record]) -> None:
    """Every number of blocks, the last of which is the score."""
    value = [point["accuracy"] for point in points]
    around = [
        [max(0.0, point["accuracy"] - point["low"]) for point in points],
        [max(0.0, point["high"] - point["accuracy"]) for point in points],
    ]
    style: dict[str, Any] = {"fmt": "o", "color": "black", "markersize": 5, "elinewidth": 1, "capsize": 2, "zorder": 3}
    axes.errorbar([point["blocks"] for point in points], value, yerr=around, label="always block k", **style)


def _draw_rule(axes: Axes, name: str, rule: Record) -> None:
    points = sorted(rule["points"], key=lambda point: point["blocks"])
    blocks = [point["blocks"] for point in points]
    colour, chosen = COLOURS[name], rule["points"][rule["chosen"]]
    style: dict[str, Any] = {"color": colour, "linewidth": 1.5, "marker": "o", "markersize": 2.5}
    axes.plot(blocks, [point["accuracy"] for point in points], label=NAMES[name], **style)
    low, high = ([point[edge] for point in points] for edge in ("low", "high"))
    axes.fill_between(blocks, low, high, color=colour, alpha=0.1, linewidth=0)
    large: dict[str, Any] = {"marker": "D", "markersize": 8, "markeredgecolor": "white", "zorder": 5}
    axes.plot(chosen["blocks"], chosen["accuracy"], color=colour, linestyle="none", **large)
