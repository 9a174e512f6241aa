"""Writes a report into TensorBoard, beside the events of the runs themselves: tables as text, figures as images."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


def write_events(folder: Path, heading: str, tables: Mapping[str, str], figures: Mapping[str, Figure | None]) -> None:
    """Write events into `<folder>/tensorboard`, all under one heading; those of an earlier command go.

    A figure that is None does not apply.
    """
    for old in (folder / FOLDER).glob("events.out.tfevents.*"):
        old.unlink()
    with SummaryWriter(folder / FOLDER) as writer:
        for name, text in tables.items():
            writer.add_text(f"{heading}/{name}", text)
        for name, figure in figures.items():
            if figure is not None:
                writer.add_figure(f"{heading}/{name}", figure, close=False)
