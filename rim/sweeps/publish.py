"""Everything that a sweep leaves to read: tables, records, figures, TensorBoard."""

from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from rim.comparison.board import FOLDER
from rim.files import write_bytes, write_json
from rim.report.publish import write_figure
from rim.sweeps.board import write_sweep
from rim.sweeps.heat_map import heat_map
from rim.sweeps.history import history
from rim.sweeps.importances import Importances, importances, importances_figure
from rim.sweeps.outcome import SweepResult
from rim.sweeps.read_blocks import read_blocks
from rim.sweeps.records import record_of
from rim.sweeps.slices import slices
from rim.sweeps.summary import Summary, summarise
from rim.sweeps.tables import csv_text, footer, further_tables, main_tables, markdown

if TYPE_CHECKING:
    import optuna


def publish(result: SweepResult, folder: Path, study: "optuna.Study | None" = None) -> str:
    """Write `table.md`, `table.csv`, `results.json`, the figures and the events.

    A figure that does not apply is not written, and goes where an earlier command has left one.

    Returns:
        The main tables, and the paths that were written: what a command prints.

    Args:
        result: the sweep so far.
        folder: that all goes to.
        study: of the points, for the importances of settings; None: these are left out.
    """
    summary = summarise(result)
    found = importances(summary, study)
    write_bytes(folder / "table.md", markdown(summary).encode())
    write_bytes(folder / "table.csv", csv_text(summary).encode())
    write_json(folder / "results.json", record_of(summary) | {"importances": found.shares})
    figures = _figures(summary, found)
    files = [folder / "table.md", folder / "table.csv", folder / "results.json", *_save(figures, folder)]
    write_sweep(folder, summary, _board_tables(summary), _drawn(figures))
    written = [f"wrote {file}" for file in [*files, folder / FOLDER]]
    left_out = [f"no importances.png: {found.reason}"] if found.reason else []
    return "\n".join([main_tables(summary), "", footer(summary), "", *written, *left_out])


def _figures(summary: Summary, found: Importances) -> dict[str, Figure | None]:
    return {
        "heat_map": heat_map(summary),
        "slices": slices(summary),
        "read_blocks": read_blocks(summary),
        "importances": importances_figure(summary, found),
        "history": history(summary),
    }


def _drawn(figures: dict[str, Figure | None]) -> dict[str, Figure]:
    return {name: figure for name, figure in figures.items() if figure is not None}


def _save(figures: dict[str, Figure | None], folder: Path) -> list[Path]:
    for name in figures.keys() - _drawn(figures).keys():
        (folder / f"{name}.png").unlink(missing_ok=True)
    return [write_figure(figure, folder / f"{name}.png") for name, figure in _drawn(figures).items()]


def _board_tables(summary: Summary) -> dict[str, str]:
    tables = {"points": main_tables(summary), **dict(further_tables(summary))}
    return {name: f"{text}\n\n{footer(summary)}" for name, text in tables.items()}
