"""From finished runs to what tables and figures show: means over seeds, intervals, differences, costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np

from rim.report.statistics import Difference, Estimate, estimate, mean_if_known, paired_difference
from rim.studies.comparison.collect import FinishedRun, by_entry, latency_run
from rim.studies.comparison.sameness import check_same_examples, check_same_rule


@dataclass(frozen=True)
class SourceSummary:
    """An entry on a test set. Controls and the oracle are means over seeds, and empty where they do not apply; a
    control that a seed was not scored under is left out.

    `by_steps` counts the steps of an example as the first run of all does: another `data.steps` may count others, and
    the same column would be of other examples.
    """

    examples: int
    accuracy: Estimate
    difference: Difference | None
    by_steps: dict[int, Estimate]
    by_block: list[float]
    controls: dict[str, float]
    any_block: float | None


@dataclass(frozen=True)
class Cost:
    """What an entry takes to train (mean over seeds) and to answer (its first seed); None: not known."""

    updates: float
    seconds: float
    flops: float | None
    flops_before: float | None
    latency: dict[str, Any]


@dataclass(frozen=True)
class EntrySummary:
    """All seeds of an entry under one budget; `trained_on` is its `data.train`."""

    budget: str
    entry: str
    seeds: list[int]
    tests: dict[str, SourceSummary]
    cost: Cost
    trained_on: str = ""


@dataclass(frozen=True)
class Summary:
    """A comparison in numbers, budget by budget and in the order of its entries."""

    name: str
    reference: str
    confidence: float
    entries: list[EntrySummary]

    @property
    def budgets(self) -> list[str]:
        return list(dict.fromkeys(entry.budget for entry in self.entries))

    @property
    def sources(self) -> list[str]:
        return list(dict.fromkeys(source for entry in self.entries for source in entry.tests))

    def of(self, budget: str) -> list[EntrySummary]:
        return [entry for entry in self.entries if entry.budget == budget]


def summarise(name: str, runs: Sequence[FinishedRun], reference: str) -> Summary:
    """Bring runs together: seeds of an entry to one record, differences to the reference of the same budget.

    Args:
        reference: name of an entry; where a budget lacks it, there are no differences.

    Raises:
        ComparisonError: runs have answered different examples, or their answers were marked by different rules.
    """
    for source in runs[0].tests:
        rows = {str(run.folder): run.tests[source].predictions for run in runs}
        check_same_examples(source, {name: [(r.id, r.gold, r.question) for r in each] for name, each in rows.items()})
        check_same_rule(source, {str(run.folder): run.tests[source].scores.get("rule") for run in runs})
    groups = by_entry(runs)
    confidence = runs[0].config.evaluation.confidence
    steps = {source: np.array([row.steps for row in each.predictions]) for source, each in runs[0].tests.items()}
    entries = [
        _entry(members, groups.get((budget, reference)), confidence, steps) for (budget, _), members in groups.items()
    ]
    return Summary(name, reference, confidence, entries)


def _entry(
    runs: Sequence[FinishedRun],
    reference: Sequence[FinishedRun] | None,
    confidence: float,
    steps: Mapping[str, np.ndarray],
) -> EntrySummary:
    first, seeds = runs[0], [run.seed for run in runs]
    tests = {source: _test(source, runs, reference, confidence, steps[source]) for source in first.tests}
    return EntrySummary(first.budget, first.entry, seeds, tests, _cost(runs), first.config.data.train)


def _test(
    source: str,
    runs: Sequence[FinishedRun],
    reference: Sequence[FinishedRun] | None,
    confidence: float,
    steps_E: np.ndarray,
) -> SourceSummary:
    answers = [run.tests[source] for run in runs]
    correct_SE = _marks(runs, source)
    difference = None
    if reference is not None and reference[0].entry != runs[0].entry:
        difference = paired_difference(correct_SE, _marks(reference, source), confidence)
    by_block = zip(*(each.scores["by_block"] for each in answers), strict=True)
    shared = [name for name in answers[0].controls if all(name in each.controls for each in answers)]
    oracle = [each.any_block for each in answers if each.any_block is not None]
    return SourceSummary(
        examples=len(steps_E),
        accuracy=estimate(correct_SE, confidence),
        difference=difference,
        by_steps={int(n): estimate(correct_SE[:, steps_E == n], confidence) for n in np.unique(steps_E)},
        by_block=[fmean(share["accuracy"] for share in shares) for shares in by_block],
        controls={name: fmean(each.controls[name] for each in answers) for name in shared},
        any_block=fmean(oracle) if oracle else None,
    )


def _marks(runs: Sequence[FinishedRun], source: str) -> np.ndarray:
    return np.array([[row.final for row in run.tests[source].predictions] for run in runs])


def _cost(runs: Sequence[FinishedRun]) -> Cost:
    return Cost(
        updates=fmean(run.training["updates"] for run in runs),
        seconds=fmean(run.training["seconds"] for run in runs),
        flops=mean_if_known([run.training.get("flops") for run in runs]),
        flops_before=mean_if_known([run.training.get("flops_before", 0.0) for run in runs]),
        latency=latency_run(runs).latency,
    )
