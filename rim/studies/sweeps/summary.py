"""From a sweep's runs to what tables and figures show: means over seeds, intervals, the best point, slices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rim.report.counts import estimate_counts, estimates
from rim.report.proportion import Proportion
from rim.report.statistics import Estimate, mean_if_known
from rim.studies.sweeps.marginals import Slice, slices_of
from rim.studies.sweeps.outcome import Axis, Point, SweepResult
from rim.studies.sweeps.words import label_of


@dataclass(frozen=True, kw_only=True)
class PointSummary(Point):
    """A point and what was made of all its seeds.

    `scores` by source, and `read_with` by test source and number of blocks, both empty of a point that has not
    finished; `updates`, `minutes` and `flops` are means over its runs.
    """

    label: str
    scores: Mapping[str, Estimate]
    read_with: Mapping[str, Mapping[int, Estimate]]
    updates: float | None
    minutes: float | None
    flops: float | None


@dataclass(frozen=True)
class Summary:
    """A sweep in numbers, its points in the order of the table."""

    result: SweepResult
    points: tuple[PointSummary, ...]
    baselines: Mapping[str, PointSummary]
    best: PointSummary | None
    slices: tuple[Slice, ...]

    @property
    def sources(self) -> tuple[str, ...]:
        return self.result.sources

    @property
    def complete(self) -> tuple[PointSummary, ...]:
        return tuple(point for point in self.points if point.finished)

    @property
    def seeds(self) -> list[int]:
        every = [*self.points, *self.baselines.values()]
        return sorted({run.seed for point in every for run in point.seeds})

    def along(self, axis: Axis) -> list[Slice]:
        """The slices of an axis, that over all points first; none of a range."""
        return [each for each in self.slices if each.axis == axis.name]


def summarise(result: SweepResult) -> Summary:
    """Means and intervals of all points, in grid order, or best first where the points were sampled."""
    points = [_summary(point, label_of(point.values, result.axes), result.confidence) for point in result.points]
    points.sort(key=lambda point: (_place(point, result), point.number))
    baselines = {name: _summary(point, name, result.confidence) for name, point in result.baselines.items()}
    scored = [point for point in points if result.metric in point.scores]
    best = max(scored, key=lambda point: point.scores[result.metric].value, default=None)
    return Summary(result, tuple(points), baselines, best, tuple(slices_of(result)))


def _summary(point: Point, label: str, confidence: float) -> PointSummary:
    runs = point.seeds if point.finished else ()
    costs: dict[str, Any] = {
        cost: mean_if_known([getattr(run, cost) for run in runs]) for cost in ("updates", "minutes", "flops")
    }
    scores, read = estimates([run.scores for run in runs], confidence), read_with([point] if runs else [], confidence)
    return PointSummary(**vars(point), **costs, label=label, scores=scores, read_with=read)


def read_with(points: Sequence[Point], confidence: float) -> dict[str, dict[int, Estimate]]:
    """By test source and number of blocks, the one that was trained with among them: means over all runs."""
    found: dict[str, dict[int, list[Proportion]]] = {}
    for trained, run in [(point.trained_blocks, run) for point in points for run in point.seeds]:
        for source, scores in run.read_with.items():
            own = {trained: run.scores[source]} if trained is not None and source in run.scores else {}
            for blocks, score in {**scores, **own}.items():
                found.setdefault(source, {}).setdefault(blocks, []).append(score)
    return {
        source: {blocks: estimate_counts(scores[blocks], confidence) for blocks in sorted(scores)}
        for source, scores in found.items()
    }


def _place(point: PointSummary, result: SweepResult) -> list[float]:
    """Of a grid by its axes, the first of which changes slowest, whatever the order of training; else by the score."""
    if result.sampler != "grid":
        return [-point.scores[result.metric].value if result.metric in point.scores else 1.0]
    values = [(axis.values, point.values.get(axis.name)) for axis in result.axes]
    return [known.index(value) if value in known else len(known) for known, value in values]
