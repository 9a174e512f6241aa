"""Rows of the base model beside those of the runs that began with it, where `rim.evaluate --base` has scored it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rim.evaluation.base_run import FOLDER
from rim.studies.comparison.collect import Answers, FinishedRun, read_answers

UNTRAINED = {"updates": 0, "seconds": 0.0, "flops": 0.0}


def base_rows(runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """One member for each budget and way of asking, of the budget's first run that has scores of its base model.

    Ways that have not answered all test sets of the run, row by row as the run has, are left out: they do not compare.
    """
    found: list[FinishedRun] = []
    for budget in dict.fromkeys(run.budget for run in runs):
        asked = (_rows_of(run) for run in runs if run.budget == budget)
        found += next(filter(None, asked), [])
    return found


def base_note(rows: Sequence[FinishedRun]) -> str:
    """What the rows are, in a sentence; empty where there are none."""
    if not rows:
        return ""
    names = ", ".join(dict.fromkeys(row.config.backbone.name for row in rows))
    where = ", ".join(dict.fromkeys(str(row.folder.parents[2]) for row in rows))
    return (
        f"base: {names} before any training, asked for the answer (direct) or for its own chain of thought (cot) after "
        f"so many solved examples (shot); scored by rim.evaluate --base --run {where}."
    )


def _rows_of(run: FinishedRun) -> list[FinishedRun]:
    """The base model of a run in every way that was scored on the run's own rows; trained on nothing."""
    base = replace(run.config, data=replace(run.config.data, train=""))
    answered = {folder: _tests(run, folder) for folder in sorted((run.folder / "results" / FOLDER).glob("*"))}
    return [
        replace(run, entry=f"base, {at.name}", folder=at, config=base, training=UNTRAINED, tests=tests, latency={})
        for at, tests in answered.items()
        if tests is not None
    ]


def _tests(run: FinishedRun, way: Path) -> dict[str, Answers] | None:
    """Answers to all test sets of the run; None where one is missing, of other rows, or graded by another rule."""
    tests = {}
    for source, own in run.tests.items():
        found = read_answers(way, source)
        if found is None or any(found.scores.get(fact) != own.scores.get(fact) for fact in ("rows", "rule")):
            return None
        tests[source] = found
    return tests
