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
    # With the trial's number, since two points of a range may be written alike.
    sessions = [(f"{point.number:03d}_{_plain(point.label)[:80]}", point) for point in summary.complete]
    finished = [(name, point) for name, point in summary.baselines.items() if point.finished]
    sessions += [(f"baseline_{_plain(name)}", point) for name, point in finished]
    for name, point in sessions:
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
    listed = [axis for axis in summary.result.axes if axis.values and axis.name in examples]
    known = {axis.name: [_setting(axis, value) for value in axis.values] for axis in listed}
    if not summary.baselines:
        del examples["baseline"]
    return hparams(examples, {f"accuracy/{source}": 0.0 for source in summary.sources}, known)[0]


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.=-]+", "_", name)


def _settings(summary: Summary, *points: PointSummary) -> dict[str, Any]:
    """What was set at a point, or the name of the baseline that it is."""
    found: dict[str, Any] = {}
    for point in points:
        values = point.values
        found |= {axis.name: _setting(axis, values[axis.name]) for axis in summary.result.axes if axis.name in values}
        found |= {"baseline": point.label} if point is summary.baselines.get(point.label) else {}
    return found


def _setting(axis: Axis, value: Any) -> Any:
    """A number where all values of the axis are numbers, so that the plugin can draw a scale; else text."""
    return value if axis.numeric else text_of(value)
