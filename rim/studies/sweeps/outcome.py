"""What a sweep has found, in plain records: all that tables and figures are made of.

Scores come from the study and not from run folders, so that a sweep over many machines can be reported on any of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rim.report.proportion import Proportion

VALIDATION = "validation"
"""Name of the validation score of the chosen checkpoint, beside those of test sources."""
FORMER = "held-out"
"""What it was called before; studies that were begun then have it."""


@dataclass(frozen=True)
class Axis:
    """One dimension of the space.

    `values` are its points in their order (of a variants axis their names), empty for a range from `low` to `high`,
    whose scale is logarithmic where `log`. `name` is the path of a setting, or of variants the name they were given.
    """

    name: str
    values: tuple[Any, ...] = ()
    low: float | None = None
    high: float | None = None
    log: bool = False

    @property
    def numeric(self) -> bool:
        """Whether its values lie on a scale."""
        return all(isinstance(value, int | float) and not isinstance(value, bool) for value in self.values)


@dataclass(frozen=True)
class SeedScore:
    """One finished run.

    `scores` by source, the validation score among them (`VALIDATION`); `read_with` by test source and number of blocks
    that the model was also read with; `updates` trained, `minutes` it took, `flops` of training where known.
    """

    seed: int
    folder: str
    scores: Mapping[str, Proportion]
    read_with: Mapping[str, Mapping[int, Proportion]]
    updates: int
    minutes: float
    flops: float | None = None


@dataclass(frozen=True)
class Point:
    """One trial: a value for every axis, and its runs, a seed each. `state` is complete, pruned, failed or running.

    `pruned_at` counts updates. `overrides` are the settings that make it, as `key=value`, and `blocks` is the number of
    memory blocks that it trains with: both where known.
    """

    number: int
    values: Mapping[str, Any]
    state: str
    seeds: tuple[SeedScore, ...]
    pruned_at: int | None = None
    overrides: tuple[str, ...] = ()
    blocks: int | None = None

    @property
    def finished(self) -> bool:
        """Whether all its seeds have their scores."""
        return self.state == "complete" and bool(self.seeds)

    @property
    def trained_blocks(self) -> int | None:
        return self.blocks or self.values.get("memory.blocks")


@dataclass(frozen=True)
class SweepResult:
    """A sweep so far.

    `metric` is what trials were chosen by: `VALIDATION` or a test source. `baselines` are points on an axis of their
    own, by name. `facts` is the provenance: lists of commits, hardware, versions and threads, as of a comparison.
    `base` and `overrides` are the files and settings that every run begins with; `confidence` is that of intervals.
    """

    name: str
    question: str
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
    baselines: Mapping[str, Point]
    metric: str
    sampler: str
    facts: Mapping[str, list[Any]]
    notes: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    confidence: float = 0.95

    @property
    def sources(self) -> tuple[str, ...]:
        """Validation first, then the test sources, as scored."""
        found = [name for point in (*self.points, *self.baselines.values()) for s in point.seeds for name in s.scores]
        return tuple(dict.fromkeys([VALIDATION, *found]))
