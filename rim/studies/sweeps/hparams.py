"""Writes a sweep into TensorBoard: its report, and its points with their scores for the HParams plugin."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from rim.report.tensorboard import FOLDER, write_events
from rim.studies.sweeps.outcome import Axis
from rim.studies.sweeps.summary import PointSummary, Summary
from rim.studies.sweeps.words import text_of


def write_sweep(
    folder: Path, summary: Summary, tables: Mapping[str, str], figures: Mapping[str, Figure | None]
) -> None:
    """Write events into `<folder>/tensorboard`, of every finished point into a folder below; old ones go."""
    for old in (folder / FOLDER).glob("*/events.out.tfevents.*"):
        old.unlink()
        if not any(old.parent.iterdir()):
            old.parent.rmdir()
    write_events(folder, "sweep", tables, figures)
    experiment = _experiment(summary)
    for name, point in [*((_folder_name(p), p) for p in summary.complete), *_baselines(summary)]:
        values = _settings(summary, point)
        scores = {f"accuracy/{source}": score.value for source, score in point.scores.items()}
        _, begin, end = hparams(values, scores)
        with SummaryWriter(folder / FOLDER / name) as writer:
            for part in (experiment, begin, end):
                writer.file_writer.add_summary(part)
            for tag, value in scores.items():
                writer.add_scalar(tag, value)


def _experiment(summary: Summary) -> Any:
    """The columns of the HParams plugin, which takes those of any one session for all: hence the same in each."""
    examples = _settings(summary, *summary.complete[:1]) | {"baseline": ""}
    known = {axis.name: _choices(axis) for axis in summary.result.axes if axis.values and axis.name in examples}
    if not summary.baselines:
        del examples["baseline"]
    return hparams(examples, {f"accuracy/{source}": 0.0 for source in summary.sources}, known)[0]


def _folder_name(point: PointSummary) -> str:
    """With the trial's number, since two points of a range may be written alike."""
    return f"{point.point.number:03d}_{re.sub(r'[^A-Za-z0-9.=-]+', '_', point.label)[:80]}"


def _baselines(summary: Summary) -> list[tuple[str, PointSummary]]:
    finished = [(name, point) for name, point in summary.baselines.items() if point.point.finished]
    return [(f"baseline_{re.sub(r'[^A-Za-z0-9.=-]+', '_', name)}", point) for name, point in finished]


def _settings(summary: Summary, *points: PointSummary) -> dict[str, Any]:
    """What was set at a point, or the name of the baseline that it is."""
    found: dict[str, Any] = {}
    for point in points:
        found |= {axis.name: _setting(axis, point) for axis in summary.result.axes if axis.name in point.point.values}
        found |= {"baseline": point.label} if point is summary.baselines.get(point.label) else {}
    return found


def _setting(axis: Axis, point: PointSummary) -> Any:
    """A number where all values of the axis are numbers, so that the plugin can draw a scale; else text."""
    value = point.point.values[axis.name]
    return value if axis.numeric else text_of(value)


def _choices(axis: Axis) -> list[Any]:
    return list(axis.values) if axis.numeric else [text_of(value) for value in axis.values]
