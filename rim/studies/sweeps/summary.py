"""From a sweep's runs to what tables and figures show: means over seeds, intervals, the best point, slices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rim.report.counts import estimate_counts, estimates
from rim.report.proportion import Proportion
from rim.report.statistics import Estimate, mean_if_known
from rim.studies.sweeps.marginals import Slice, slices_of
from rim.studies.sweeps.outcome import Axis, Point, SeedScore, SweepResult
from rim.studies.sweeps.words import label_of


@dataclass(frozen=True)
class PointSummary:
    """A point with all its seeds.

    `scores` by source, and `read_with` by test source and number of blocks, both empty of a point that has not
    finished; `updates`, `minutes` and `flops` are means over its runs.
    """

    label: str
    point: Point
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
        return tuple(point for point in self.points if point.point.finished)

    @property
    def seeds(self) -> list[int]:
        every = [*self.points, *self.baselines.values()]
        return sorted({run.seed for point in every for run in point.point.seeds})

    def along(self, axis: Axis) -> list[Slice]:
        """The slices of an axis, that over all points first; none of a range."""
        return [each for each in self.slices if each.axis == axis.name]


def summarise(result: SweepResult) -> Summary:
    """Means and intervals of all points, in grid order, or best first where the points were sampled."""
    points = [_summary(point, label_of(point.values, result.axes), result.confidence) for point in result.points]
    points = _by_grid(points, result) if result.sampler == "grid" else _by_score(points, result.metric)
    baselines = {name: _summary(point, name, result.confidence) for name, point in result.baselines.items()}
    scored = [point for point in points if result.metric in point.scores]
    best = max(scored, key=lambda point: point.scores[result.metric].value, default=None)
    return Summary(result, tuple(points), baselines, best, tuple(slices_of(result)))


def _summary(point: Point, label: str, confidence: float) -> PointSummary:
    runs = point.seeds if point.finished else ()
    return PointSummary(
        label, point,
        estimates([run.scores for run in runs], confidence),
        read_with([point] if runs else [], confidence),
        *(mean_if_known([getattr(run, cost) for run in runs]) for cost in ("updates", "minutes", "flops")),
    )  # fmt: skip


def read_with(points: Sequence[Point], confidence: float) -> dict[str, dict[int, Estimate]]:
    """By test source and number of blocks, the one that was trained with among them: means over all runs."""
    found: dict[str, dict[int, list[Proportion]]] = {}
    every = [(point, run, source) for point in points for run in point.seeds for source in run.read_with]
    for point, run, source in every:
        for blocks, score in _with_trained(point, run, source).items():
            found.setdefault(source, {}).setdefault(blocks, []).append(score)
    return {
        source: {blocks: estimate_counts(scores[blocks], confidence) for blocks in sorted(scores)}
        for source, scores in found.items()
    }


def _with_trained(point: Point, run: SeedScore, source: str) -> dict[int, Proportion]:
    scores = dict(run.read_with[source])
    if point.trained_blocks is not None and source in run.scores:
        scores[point.trained_blocks] = run.scores[source]
    return scores


def _by_grid(points: Iterable[PointSummary], result: SweepResult) -> list[PointSummary]:
    """The first axis changes slowest, whatever the order in which workers took the points."""

    def place(point: PointSummary) -> list[int]:
        values = [(axis.values, point.point.values.get(axis.name)) for axis in result.axes]
        return [known.index(value) if value in known else len(known) for known, value in values]

    return sorted(points, key=lambda point: (place(point), point.point.number))


def _by_score(points: Iterable[PointSummary], metric: str) -> list[PointSummary]:
    def rank(point: PointSummary) -> tuple[float, int]:
        return (-point.scores[metric].value if metric in point.scores else 1.0), point.point.number

    return sorted(points, key=rank)
