"""The curves of a run as a figure: training loss and validation accuracy, with a line where a stage begins."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from math import isfinite
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rim.report.style import COLOURS, DPI, plain

Record = Mapping[str, Any]


def curve_figure(records: Sequence[Record]) -> Figure:
    """Training loss (logarithmic) above validation accuracy, over updates.

    Args:
        records: in the order of training, each with `update`, `stage` and either `loss` or `accuracy` (after the last
            block), with `accuracy_by_block` where there are blocks. Values that are not finite leave a gap.

    Raises:
        ValueError: no record holds a finite loss or accuracy.
    """
    panels = {"loss": _draw_loss, "accuracy": _draw_accuracy}
    present = [name for name in panels if any(_has(record, name) for record in records)]
    if not present:
        raise ValueError(
            f"none of the {len(records)} records holds a finite loss or accuracy: there is no curve to draw"
        )
    figure = Figure(figsize=(9, 1 + 2.6 * len(present)), dpi=DPI, layout="constrained")
    axes = figure.subplots(len(present), sharex=True, squeeze=False)[:, 0].tolist()
    for axis, name in zip(axes, present, strict=True):
        panels[name](axis, records)
        plain(axis)
    _draw_stages(axes, records)
    axes[-1].set_xlabel("update")
    return figure


def _draw_loss(axes: Axes, records: Sequence[Record]) -> None:
    """Each stage is a line of its own: losses of different stages do not compare."""
    for _, stage in _stages(records):
        rows = [record for record in stage if "loss" in record]
        losses = [record["loss"] if _has(record, "loss") else float("nan") for record in rows]
        axes.plot([record["update"] for record in rows], losses, color=COLOURS[0], linewidth=1.2)
    axes.set_yscale("log", nonpositive="mask")
    axes.set_ylabel("training loss")


def _draw_accuracy(axes: Axes, records: Sequence[Record]) -> None:
    """The score in colour; the blocks before the last in grey, the later the darker."""
    scored = [record for record in records if _has(record, "accuracy")]
    most = max(len(record.get("accuracy_by_block") or ()) for record in scored)
    for block in range(most - 1):
        rows = [record for record in scored if len(record.get("accuracy_by_block") or ()) > block]
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
            _draw_lines(axes, begin)
        style: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "fontsize": 9}
        axes[0].annotate(name, (begin, 1), xytext=(3, 4), parse_math=False, **style)
        last = stage[-1]["update"]


def _draw_lines(axes: Iterable[Axes], update: float) -> None:
    for axis in axes:
        axis.axvline(update, color="0.3", linestyle="--", linewidth=1)


def _stages(records: Sequence[Record]) -> Iterable[tuple[str, list[Record]]]:
    return ((name, list(stage)) for name, stage in groupby(records, key=lambda record: record["stage"]))


def _updates(records: Iterable[Record]) -> list[int]:
    return [record["update"] for record in records]


def _has(record: Record, name: str) -> bool:
    return record.get(name) is not None and isfinite(record[name])
