"""Accuracy along one axis, over all points or where another axis has one value."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from rim.report.counts import estimates
from rim.report.statistics import Estimate
from rim.studies.sweeps.outcome import Axis, SweepResult


@dataclass(frozen=True)
class SliceValue:
    """The mean over all complete points with one value; `points` of them, where the space has `expected`."""

    value: Any
    points: int
    expected: int
    scores: Mapping[str, Estimate]


@dataclass(frozen=True)
class Slice:
    """Accuracy along one axis: over all points (`fixed` is empty), or where another axis has one value."""

    axis: str
    fixed: Mapping[str, Any]
    values: tuple[SliceValue, ...]


def slices_of(result: SweepResult) -> list[Slice]:
    """Of every axis with listed values; its means over all points come first."""
    listed = [axis for axis in result.axes if axis.values]
    found = []
    for axis in listed:
        fixed = [{other.name: value} for other in listed if other is not axis for value in other.values]
        found += [_slice(axis, each, result) for each in [{}, *fixed]]
    return found


def _slice(axis: Axis, fixed: Mapping[str, Any], result: SweepResult) -> Slice:
    members = [point for point in result.points if fixed.items() <= dict(point.values).items()]
    free = [len(other.values) for other in result.axes if other is not axis and other.name not in fixed]
    values = []
    for value in axis.values:
        here = [point for point in members if point.values.get(axis.name) == value]
        finished = [point for point in here if point.finished]
        expected = prod(free) if result.sampler == "grid" else len(here)
        scores = estimates([run.scores for point in finished for run in point.seeds], result.confidence)
        values.append(SliceValue(value, len(finished), expected, scores))
    return Slice(axis.name, fixed, tuple(values))
