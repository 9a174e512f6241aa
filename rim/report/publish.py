"""Writes the files of a report, atomically: tables, records and figures."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from rim.base.files import write_bytes, write_json


def write_report(
    folder: Path, text: str, rows: str, record: Mapping[str, Any], figures: Mapping[str, Figure | None]
) -> list[Path]:
    """Write `table.md`, `table.csv`, `results.json` and a PNG of each figure, and give the paths back.

    A figure that is None does not apply, and goes where an earlier command has left one.
    """
    files = [folder / "table.md", folder / "table.csv", folder / "results.json"]
    write_bytes(files[0], text.encode())
    write_bytes(files[1], rows.encode())
    write_json(files[2], record)
    for name in (name for name, figure in figures.items() if figure is None):
        (folder / f"{name}.png").unlink(missing_ok=True)
    drawn = {name: figure for name, figure in figures.items() if figure is not None}
    return [*files, *(write_figure(figure, folder / f"{name}.png") for name, figure in drawn.items())]


def write_figure(figure: Figure, path: Path) -> Path:
    """Write a figure in the form that the file's suffix names, such as .png, and give the path back.

    Raises:
        SaveError: the system refused the file; what stood there before is untouched.
    """
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:])
    write_bytes(path, content.getvalue())
    return path
