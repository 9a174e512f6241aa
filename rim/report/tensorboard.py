"""The comparison in TensorBoard: tables as text and figures as images, beside the events of the runs themselves."""

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure
from torch.utils.tensorboard import SummaryWriter

FOLDER = "tensorboard"


def write_board(
    folder: Path, tables: Mapping[str, str], figures: Mapping[str, Figure], heading: str = "comparison"
) -> None:
    """Write events into `<folder>/tensorboard`; those of an earlier command go.

    Args:
        folder: of the comparison.
        tables: name → Markdown.
        figures: name → figure.
        heading: that all of it stands under.
    """
    for old in (folder / FOLDER).glob("events.out.tfevents.*"):
        old.unlink()
    with SummaryWriter(folder / FOLDER) as writer:
        for name, text in tables.items():
            writer.add_text(f"{heading}/{name}", text)
        for name, figure in figures.items():
            writer.add_figure(f"{heading}/{name}", figure, close=False)
