"""Writes the report of a comparison: tables, records, figures, TensorBoard."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rim.report.provenance import provenance
from rim.report.publish import write_report
from rim.report.statistics import RESAMPLES
from rim.report.tensorboard import write_events
from rim.studies.comparison.collect import FinishedRun
from rim.studies.comparison.figures import latency_figure, steps_figure
from rim.studies.comparison.summary import Summary, summarise
from rim.studies.comparison.tables import budget_tables, csv_text, footer, main_tables, markdown
from rim.studies.comparison.untouched import base_note, base_rows


def publish(name: str, folder: Path, runs: Sequence[FinishedRun], reference: str, notes: Sequence[str] = ()) -> str:
    """Write `table.md`, `table.csv`, `results.json`, the figures and the events.

    Returns:
        The main tables, and the paths that were written: what a command prints.

    Args:
        runs: finished, in the order of the tables.
        notes: what the reader must know, such as runs that are missing; stands under every table.

    Raises:
        ComparisonError: the runs have answered different examples.
    """
    base = base_rows(runs)
    summary = summarise(name, [*runs, *base], reference)

    def foot(budget: str) -> str:
        about = base_note([row for row in base if row.budget == budget])
        return footer([run for run in runs if run.budget == budget], summary.confidence, notes, about)

    figures = {"accuracy_latency": latency_figure(summary), "accuracy_steps": steps_figure(summary)}
    record = {**_record(summary, runs, notes), "base": [_run(row) for row in base]}
    files = write_report(folder, markdown(summary, foot), csv_text([*runs, *base]), record, figures)
    tables = {
        f"{budget or 'runs'}/{title}": f"{text}\n\n{foot(budget)}"
        for budget in summary.budgets
        for title, text in budget_tables(summary, budget)
    }
    write_events(folder, "comparison", tables, figures)
    main = main_tables(summary) + "\n\n" + footer(runs, summary.confidence, notes, base_note(base))
    return "\n".join([main, "", *(f"wrote {file}" for file in files)])


def _record(summary: Summary, runs: Sequence[FinishedRun], notes: Sequence[str]) -> dict[str, Any]:
    """The summary with what is needed to judge it: provenance, and the counts of every run; no predictions."""
    return {
        **asdict(summary),
        "intervals": f"bootstrap of {RESAMPLES} resamples over seeds and examples",
        "notes": list(notes),
        **provenance(run.environment for run in runs),
        "runs": [_run(run) for run in runs],
    }


def _run(run: FinishedRun) -> dict[str, Any]:
    return {
        "budget": run.budget, "entry": run.entry, "seed": run.seed, "name": run.config.run.name,
        "command": run.environment.get("command"), "training": run.training, "latency": run.latency,
        "right": {source: _right(answers.scores) for source, answers in run.tests.items()},
    }  # fmt: skip


def _right(scores: Mapping[str, Any]) -> dict[str, Any]:
    """How many answers are right: after the last block, by number of steps, under each control, after any block."""
    return {
        "examples": scores["examples"],
        "final": scores["final"]["correct"],
        "by_steps": {steps: f"{share['correct']} of {share['count']}" for steps, share in scores["by_steps"].items()},
        "controls": {name: score["final"]["correct"] for name, score in scores["controls"].items()},
        "any_block": scores["any_block_oracle"]["correct"],
    }
