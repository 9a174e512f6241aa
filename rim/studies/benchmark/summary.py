"""From rounds to numbers: medians with spread, ratios within rounds, and which bars are met."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from rim.studies.benchmark.bound import Bound
from rim.studies.benchmark.measure import Case, Measured, Seconds, Work
from rim.studies.benchmark.settings import BOUND, Bar, Benchmark


@dataclass(frozen=True)
class Spread:
    """Median over rounds, with 10th and 90th percentile."""

    median: float
    p10: float
    p90: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of one value for each round."""
        low, median, high = np.percentile(values, (10, 50, 90)).tolist()
        return cls(median, low, high)


@dataclass(frozen=True)
class Row:
    """A case: milliseconds of a batch, ratios to the reference in the same round, answers per second, bytes."""

    case: Case
    first_ms: Spread
    full_ms: Spread
    token_ms: Spread | None
    first_ratio: Spread
    full_ratio: Spread
    answers_per_second: float
    memory: int


@dataclass(frozen=True)
class BarOutcome:
    """A bar, under one way of decoding: its ratio, its limit with the ratio of positions in it, and whether it is met.

    `met` is None where it is not asked on this device.
    """

    bar: Bar
    decode: str
    ratio: Spread
    limit: float
    met: bool | None


@dataclass(frozen=True)
class Summary:
    """All that tables and figures show."""

    bench: Benchmark
    rows: list[Row]
    work: dict[str, Work]
    bound: Bound
    bars: list[BarOutcome]
    device: str

    def row(self, case: Case) -> Row:
        return next(row for row in self.rows if row.case == case)

    def to_json(self) -> dict[str, Any]:
        return {
            "device": self.device,
            "rows": [{**asdict(row), "case": row.case._asdict()} for row in self.rows],
            "work": {name: asdict(work) for name, work in self.work.items()},
            "bound": {**asdict(self.bound), "ms": self.bound.ms},
            "bars": [asdict(outcome) for outcome in self.bars],
        }


def summarise(bench: Benchmark, measured: Measured, bound: Bound, device: str) -> Summary:
    """All numbers of a benchmark on a type of device, `cpu` or `cuda`."""
    rows = [_row(bench, measured, case) for case in measured.seconds]
    order = {entry.name: index for index, entry in enumerate(bench.entries)}
    rows.sort(key=lambda row: (bench.decode.index(row.case.decode), row.case.batch_size, order[row.case.entry]))
    asked = [(bar, way) for bar in bench.bars for way in bench.decode if not bar.decode or way in bar.decode]
    bars = [_bar(bench, bar, way, measured, bound, device) for bar, way in asked]
    return Summary(bench, rows, measured.work, bound, bars, device)


def _row(bench: Benchmark, measured: Measured, case: Case) -> Row:
    seconds = measured.seconds[case]
    reference = measured.seconds[case._replace(entry=bench.reference_entry)]
    tokens = [each.token for each in seconds if each.token is not None]
    full = Spread.of([each.full for each in seconds])
    return Row(
        case=case,
        first_ms=Spread.of([1e3 * each.first for each in seconds]),
        full_ms=Spread.of([1e3 * each.full for each in seconds]),
        token_ms=Spread.of([1e3 * token for token in tokens]) if tokens else None,
        first_ratio=Spread.of([own.first / other.first for own, other in zip(seconds, reference, strict=True)]),
        full_ratio=Spread.of([own.full / other.full for own, other in zip(seconds, reference, strict=True)]),
        answers_per_second=case.batch_size / full.median,
        memory=measured.memory[case],
    )


def _bar(bench: Benchmark, bar: Bar, way: str, measured: Measured, bound: Bound, device: str) -> BarOutcome:
    size = bench.batch_sizes[0]
    above = [_time(bar, each) for each in measured.seconds[Case(bar.entry, way, size)]]
    if bar.over == BOUND:
        below = [bound.ms / 1e3] * len(above)
    else:
        below = [_time(bar, each) for each in measured.seconds[Case(bar.over, way, size)]]
    ratio = Spread.of([one / other for one, other in zip(above, below, strict=True)])
    limit = bar.at_most if bar.at_most is not None else bar.at_least
    assert limit is not None
    if bar.times_positions:
        limit *= measured.work[bar.entry].positions_to_first / measured.work[bar.over].positions_to_first
    met = ratio.median <= limit if bar.at_most is not None else ratio.median >= limit
    here = bar.device == "any" or (bar.device == "gpu") == (device == "cuda")
    return BarOutcome(bar, way, ratio, limit, met if here else None)


def _time(bar: Bar, seconds: Seconds) -> float:
    """Seconds; where there is no second token, the time between tokens is not a number."""
    found: float | None = getattr(seconds, bar.time)
    return math.nan if found is None else found
