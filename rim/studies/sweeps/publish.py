"""Writes the report of a sweep: tables, records, figures, TensorBoard."""

from pathlib import Path
from typing import TYPE_CHECKING

from rim.report.publish import write_report
from rim.report.tensorboard import FOLDER
from rim.studies.sweeps.heat_map import heat_map
from rim.studies.sweeps.hparams import write_sweep
from rim.studies.sweeps.outcome import SweepResult
from rim.studies.sweeps.read_blocks import read_blocks
from rim.studies.sweeps.records import record_of
from rim.studies.sweeps.search import history, importances, importances_figure
from rim.studies.sweeps.slices import slices
from rim.studies.sweeps.summary import Summary, summarise
from rim.studies.sweeps.tables import csv_text, footer, further_tables, main_tables, markdown

if TYPE_CHECKING:
    import optuna


def publish(result: SweepResult, folder: Path, study: "optuna.Study | None" = None) -> str:
    """Write `table.md`, `table.csv`, `results.json`, the figures and the events.

    A figure that does not apply is not written, and goes where an earlier command has left one.

    Returns:
        The main tables, and the paths that were written: what a command prints.

    Args:
        study: of the points, for the history of a search and the importances of settings; None: these are left out.
    """
    summary = summarise(result)
    found = importances(summary, study)
    figures = {
        "heat_map": heat_map(summary),
        "slices": slices(summary),
        "read_blocks": read_blocks(summary),
        "importances": importances_figure(summary, found, study),
        "history": history(summary, study),
    }
    record = record_of(summary) | {"importances": found.shares}
    files = write_report(folder, markdown(summary), csv_text(summary), record, figures)
    write_sweep(folder, summary, _event_tables(summary), figures)
    written = [f"wrote {file}" for file in [*files, folder / FOLDER]]
    left_out = [f"no importances.png: {found.reason}"] if found.reason else []
    return "\n".join([main_tables(summary), "", footer(summary), "", *written, *left_out])


def _event_tables(summary: Summary) -> dict[str, str]:
    tables = {"points": main_tables(summary), **dict(further_tables(summary))}
    return {name: f"{text}\n\n{footer(summary)}" for name, text in tables.items()}
