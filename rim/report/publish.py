"""Writes a figure as a file, atomically."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from rim.files import write_bytes


def write_figure(figure: Figure, path: Path) -> Path:
    """Write a figure in the form that the file's suffix names, such as .png, and give the path back.

    Raises:
        SaveError: the system refused the file; what stood there before is untouched.
    """
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:])
    write_bytes(path, content.getvalue())
    return path
