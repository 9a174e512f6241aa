"""What all figures of a sweep share: the question above, baselines as lines, a note below on how to read them."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from rim.report.statistics import Estimate
from rim.report.style import DPI, error_bars, literal
from rim.report.tables import percent
from rim.studies.sweeps.outcome import VALIDATION
from rim.studies.sweeps.summary import Summary

PANEL_WIDTH, PANEL_HEIGHT = 4.4, 3.0
"""Inches."""
TITLE_SIZE, NOTE_SIZE = 10.5, 7.5
"""Points."""
LETTERS = {TITLE_SIZE: 12.5, NOTE_SIZE: 17.5}
"""Letters of that size to an inch."""
BASELINES = (("black", "-"), ("0.45", "--"), ("0.45", ":"), ("black", "-."))
"""Colour and stroke, in their order."""


def sheet(summary: Summary, width: float, height: float, note: str, heading: str) -> Figure:
    """An empty figure under the sweep's question, and a line on what is shown; `note` stands at its foot.

    Args:
        width: of the figure, in inches.
        height: of the panels with their labels, in inches; the texts come on top.
    """
    lines = (summary.result.question or summary.result.name, heading)
    title = "\n".join(_wrapped(line, width, TITLE_SIZE) for line in lines)
    note = _wrapped(note, width, NOTE_SIZE)
    texts = 0.2 * (title.count("\n") + 1) + 0.14 * (note.count("\n") + 1)
    figure = Figure(figsize=(width, height + texts), dpi=DPI, layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=TITLE_SIZE, parse_math=False)
    figure.supxlabel(note, x=0.01, ha="left", fontsize=NOTE_SIZE, color="0.3", parse_math=False)
    return figure


def _wrapped(text: str, width: float, size: float) -> str:
    return fill(text, int(width * LETTERS[size]))


def draw_baselines(axes: Axes, summary: Summary, source: str) -> None:
    """A line across the panel for each baseline, and its interval as a band."""
    shown = [(name, point.scores[source]) for name, point in summary.baselines.items() if source in point.scores]
    for index, (name, score) in enumerate(shown):
        color, stroke = BASELINES[index % len(BASELINES)]
        axes.axhspan(score.low, score.high, color=color, alpha=0.09, linewidth=0, zorder=0)
        axes.axhline(score.value, color=color, linestyle=stroke, linewidth=1.4, zorder=1, label=f"baseline {name}")


def draw_score(axes: Axes, x: float, score: Estimate, color: str, marker: str = "o", size: float = 6) -> None:
    look: dict[str, Any] = {"elinewidth": 1.1, "capsize": 2.5, "markersize": size, "zorder": 4}
    axes.errorbar(x, score.value, error_bars([score.value], [score.low], [score.high]), fmt=marker, color=color, **look)


def draw_seeds(axes: Axes, x: float, score: Estimate, color: str) -> None:
    """A small dot for each seed, a little to the right of the mean so that its bar does not hide them."""
    beside = axes.transData + ScaledTranslation(5 / 72, 0, axes.get_figure().dpi_scale_trans)  # type: ignore[union-attr]
    look: dict[str, Any] = {"markersize": 5.5, "markeredgewidth": 0, "alpha": 0.75, "zorder": 5}
    axes.plot([x] * len(score.per_seed), score.per_seed, ".", color=color, transform=beside, **look)


def legend_beside(axes: Axes) -> None:
    """To the right of a panel, baselines last; the title above keeps the whole width."""
    handles, labels = ordered_legend(axes)
    literal(axes.legend(handles, labels, loc="upper left", bbox_to_anchor=(1.01, 1.02), fontsize=8, frameon=False))


def ordered_legend(axes: Axes) -> tuple[list[Any], list[str]]:
    """Handles and labels, baselines last."""
    entries = zip(*axes.get_legend_handles_labels(), strict=True)
    ordered = sorted(entries, key=lambda entry: entry[1].startswith("baseline "))
    return [handle for handle, _ in ordered], [label for _, label in ordered]


def legend_width(labels: Sequence[str]) -> float:
    """Inches that a legend beside a panel takes."""
    return 0.6 + 0.075 * max(map(len, labels), default=0)


def bars(summary: Summary) -> str:
    """How intervals were made, for the foot of a figure."""
    many = any(len(point.seeds) > 1 for point in summary.complete)
    over = "seeds and examples" if many else "examples alone, since one seed says nothing about others"
    return f"{percent(summary.result.confidence)} interval over {over} (bootstrap from counts)"


def seeds(summary: Summary) -> str:
    counts = sorted({len(point.seeds) for point in summary.complete}) or [0]
    if counts == [1]:
        return "one seed"
    return f"{counts[0]} seeds" if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"


def chosen_by(summary: Summary) -> str:
    """What chose the checkpoints and the best point, and so which scores are better than they would be again."""
    metric = summary.result.metric
    if metric == VALIDATION:
        return "The validation set chooses the checkpoints and the best point; test sets choose nothing."
    return f"The best point is chosen by {metric}, a test set: its score there is optimistic."


def left_out(summary: Summary) -> str:
    """Points without scores, counted by state: a sentence, or nothing."""
    states = [point.state for point in summary.points if not point.finished]
    parts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    return f"Without scores: {', '.join(parts)}." if parts else ""
