"""Writes the report of a sweep: tables, records, figures, TensorBoard."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna

from rim.report.publish import write_report
from rim.report.statistics import RESAMPLES
from rim.report.tensorboard import FOLDER
from rim.studies.sweeps.heat_map import heat_map
from rim.studies.sweeps.hparams import write_sweep
from rim.studies.sweeps.outcome import SweepResult
from rim.studies.sweeps.read_blocks import read_blocks
from rim.studies.sweeps.search import history, importances, importances_figure
from rim.studies.sweeps.slices import slices
from rim.studies.sweeps.summary import PointSummary, Summary, summarise
from rim.studies.sweeps.tables import csv_text, footer, further_tables, main_tables, markdown

PLAIN = ("name", "question", "base", "overrides", "sampler", "metric", "confidence", "notes")
"""What stands in the record as the sweep has it."""


def publish(result: SweepResult, folder: Path, study: optuna.Study | None = None) -> str:
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
    tables = {"points": main_tables(summary), **dict(further_tables(summary))}
    events = {name: f"{text}\n\n{footer(summary)}" for name, text in tables.items()}
    write_sweep(folder, summary, events, figures)
    written = [f"wrote {file}" for file in [*files, folder / FOLDER]]
    left_out = [f"no importances.png: {found.reason}"] if found.reason else []
    return "\n".join([main_tables(summary), "", footer(summary), "", *written, *left_out])


def record_of(summary: Summary) -> dict[str, Any]:
    """Everything of a sweep in plain types, so that it can be judged and drawn again without the study."""
    result = summary.result
    return {
        **{name: getattr(result, name) for name in PLAIN},
        "intervals": f"bootstrap of {RESAMPLES} resamples over seeds and examples, from counts, as if a weaker seed "
        "were right only where a stronger one is",
        **result.facts,
        "axes": [asdict(axis) for axis in result.axes],
        "best": summary.best and summary.best.label,
        "points": [_point(point) for point in summary.points],
        "baselines": {name: _point(point) for name, point in summary.baselines.items()},
        "slices": [asdict(each) for each in summary.slices],
    }


def _point(point: PointSummary) -> dict[str, Any]:
    record = asdict(point)
    record["runs"] = record.pop("seeds")
    return record
