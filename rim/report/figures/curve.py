"""The curves of a run as a figure: training loss and validation accuracy, with a line where a stage begins."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rim.report.style import COLOURS, DPI, plain

Record = Mapping[str, Any]


def curve_figure(records: Sequence[Record]) -> Figure:
    """Training loss (logarithmic) above validation accuracy, over updates.

    Args:
        records: in the order of training, each with `update`, `stage` and either `loss` or `accuracy` (after the last
            block) with `accuracy_by_block`; both occur.
    """
    figure = Figure(figsize=(9, 6.2), dpi=DPI, layout="constrained")
    loss, accuracy = axes = figure.subplots(2, sharex=True)
    _draw_loss(loss, records)
    _draw_accuracy(accuracy, records)
    for axis in axes:
        plain(axis)
    _draw_stages(axes, records)
    accuracy.set_xlabel("update")
    return figure


def _draw_loss(axes: Axes, records: Sequence[Record]) -> None:
    """Each stage is a line of its own: losses of different stages do not compare."""
    for _, stage in _stages(records):
        rows = [record for record in stage if "loss" in record]
        axes.plot(_updates(rows), [record["loss"] for record in rows], color=COLOURS[0], linewidth=1.2)
    axes.set_yscale("log", nonpositive="mask")
    axes.set_ylabel("training loss")


def _draw_accuracy(axes: Axes, records: Sequence[Record]) -> None:
    """The score in colour; the blocks before the last in grey, the later the darker."""
    scored = [record for record in records if "accuracy" in record]
    most = max(len(record["accuracy_by_block"]) for record in scored)
    for block in range(most - 1):
        rows = [record for record in scored if len(record["accuracy_by_block"]) > block]
        shade = str(0.85 - 0.55 * block / most)
        values = [record["accuracy_by_block"][block] for record in rows]
        axes.plot(_updates(rows), values, color=shade, linewidth=1, label=f"after block {block + 1}")
    style: dict[str, Any] = {"color": COLOURS[1], "linewidth": 2, "marker": "o", "markersize": 3.5}
    final = "after the last block" if most > 1 else "final answer"
    axes.plot(_updates(scored), [record["accuracy"] for record in scored], label=final, **style)
    axes.set_ylim(-0.03, 1.03)
    axes.set_ylabel("validation accuracy")
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=7, frameon=False, reverse=True)


def _draw_stages(axes: Sequence[Axes], records: Sequence[Record]) -> None:
    """The name of a stage where it begins, and a dashed line between it and the one before."""
    last: int | None = None
    for name, stage in _stages(records):
        begin = stage[0]["update"]
        if last is not None:
            begin = (last + begin) / 2
            for axis in axes:
                axis.axvline(begin, color="0.3", linestyle="--", linewidth=1)
        style: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "fontsize": 9}
        axes[0].annotate(name, (begin, 1), xytext=(3, 4), parse_math=False, **style)
        last = stage[-1]["update"]


def _stages(records: Sequence[Record]) -> Iterable[tuple[str, list[Record]]]:
    return ((name, list(stage)) for name, stage in groupby(records, key=lambda record: record["stage"]))


def _updates(records: Iterable[Record]) -> list[int]:
    return [record["update"] for record in records]
