"""Markdown tables that read well in a terminal, CSV, and how numbers are written in both."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from rim.report.proportion import Proportion

NOTHING = "—"
"""A cell without a value."""


def table(rows: Sequence[Sequence[object]], header: Sequence[str]) -> str:
    """An aligned Markdown table: the first column and those of words to the left, those of numbers to the right.

    Raises:
        ValueError: a row has another number of cells than the header.
    """
    cells = [[_cell(value) for value in row] for row in (header, *rows)]
    for row in cells:
        if len(row) != len(header):
            raise ValueError(f"the row {row} has {len(row)} cells, the header {len(header)}: {list(header)}")
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(header))]
    right = [column > 0 and not _is_words([row[column] for row in cells[1:]]) for column in range(len(header))]
    rule = ["-" * (width - 1) + ":" if numbers else "-" * width for width, numbers in zip(widths, right, strict=True)]
    return "\n".join(_line(row, widths, right) for row in (cells[0], rule, *cells[1:]))


def wide_table(rows: Sequence[Sequence[object]], header: Sequence[str], most: int) -> str:
    """Tables below each other, each with the first column and at most `most` of the others.

    Raises:
        ValueError: a row has another number of cells than the header.
    """
    parts = range(1, max(map(len, (header, *rows))), most)
    return "\n\n".join(
        table([(row[0], *row[at : at + most]) for row in rows], (header[0], *header[at : at + most])) for at in parts
    )


def csv_of(rows: Sequence[dict[str, Any]]) -> str:
    """Rows under all columns that any of them has, in the order of their first appearance."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def with_bounds(share: Proportion, confidence: float) -> tuple[str, str]:
    """Two cells, a share and the ends of its interval: `0.238`, `0.212 to 0.265`."""
    low, high = share.interval(confidence)
    return decimal(share.value), f"{decimal(low)} to {decimal(high)}"


def around(value: float, low: float, high: float, form: str = ".3f") -> str:
    """A value with the ends of its interval in one cell: `0.238 (0.212 to 0.265)`."""
    return f"{value:{form}} ({low:{form}} to {high:{form}})"


def decimal(value: float) -> str:
    return f"{value:.3f}"


def percent(confidence: float) -> str:
    """A confidence: `95 %`."""
    return f"{100 * confidence:g} %"


def steps_label(count: int) -> str:
    """The head of a column: `1 step`, `2 steps`."""
    return f"{count} step" if count == 1 else f"{count} steps"


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _is_words(cells: Sequence[str]) -> bool:
    """Whether something stands in the column, and nothing in it begins as a number does."""
    said = [cell.lstrip("*+-−") for cell in cells]
    return any(cell[:1].isalpha() for cell in said) and not any(cell[:1].isdigit() for cell in said)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    columns = zip(cells, widths, right, strict=True)
    return f"| {' | '.join(cell.rjust(width) if numbers else cell.ljust(width) for cell, width, numbers in columns)} |"
