"""Encoded examples of several sources as one split, with a report for each and the shares in which they train."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np

from rim.data.order import stream_mixture
from rim.data.report import Report
from rim.data.store import EncodedExample, EncodedSplit, Longest


@dataclass(frozen=True)
class PartReport:
    """What became of one source: its share of the examples drawn (None: held out), and the form of its steps."""

    share: float | None
    steps: str
    report: Report

    def __str__(self) -> str:
        share = "" if self.share is None else f"{100 * self.share:.3g} % of examples from "
        facts = [f"steps as {self.steps}"] if self.steps else []
        return self.report.text(f"{share}{self.report.source}", *facts)


@dataclass(frozen=True)
class JoinedReport:
    """What became of all sources; `kept` rows are an epoch."""

    source: str
    read: int
    kept: int
    parts: tuple[PartReport, ...]

    def __str__(self) -> str:
        return "\n".join([f"{self.source}: {self.kept:,} of {self.read:,} rows", *map(str, self.parts)])


class JoinedSplit:
    """Encoded examples of several sources; the rows of a source follow on those of the one before.

    Args:
        source: as it is written in the settings.
        parts: the sources.
        steps: form in which the steps of each are read; empty: it has none.
        cycle: examples of each in the shortest stretch of training that has their exact shares; empty: held out.
    """

    def __init__(
        self, source: str, parts: Sequence[EncodedSplit], steps: Sequence[str], cycle: Sequence[int] = ()
    ) -> None:
        self._made_of = (source, tuple(parts), tuple(steps), tuple(cycle))
        self.parts, self.cycle = tuple(parts), tuple(cycle)
        self.question_lengths = np.concatenate([part.question_lengths for part in parts])
        self.steps_counts = np.concatenate([part.steps_counts for part in parts])
        self.longest = Longest(*(max(lengths) for lengths in zip(*(part.longest for part in parts), strict=True)))
        self._starts = [*accumulate(map(len, parts), initial=0)]
        shares: Sequence[float | None] = [count / sum(cycle) for count in cycle] if cycle else [None] * len(parts)
        facts = zip(shares, steps, parts, strict=True)
        reports = tuple(PartReport(share, form, part.report) for share, form, part in facts)
        reads = sum(part.report.read for part in parts)
        self.report = JoinedReport(source, reads, len(self), reports)

    @property
    def drawn(self) -> list[tuple[float, EncodedSplit]]:
        """Share of the examples drawn, and source; empty: held out."""
        return [(count / sum(self.cycle), part) for count, part in zip(self.cycle, self.parts, strict=False)]

    @cached_property
    def source_of(self) -> dict[str, str]:
        """Id of an example → its source."""
        return {part[row].id: part.report.source for part in self.parts for row in range(len(part))}

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, row: int) -> EncodedExample:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)} encoded examples of {self.report.source}")
        part, own = self._place(range(len(self))[row])
        return part[own]

    def __reduce__(self) -> tuple[type["JoinedSplit"], tuple[object, ...]]:
        return JoinedSplit, self._made_of

    def chain_lengths(self, separator: int) -> np.ndarray:
        """[R] tokens of each row's steps, with `separator` more after every one of them, and of its answer."""
        return np.concatenate([part.chain_lengths(separator) for part in self.parts])

    def rule_of(self, row: int) -> str:
        """Name of the rule by which answers to a row are graded: its own source's."""
        return self._place(row)[0].answer_rule

    def stream(self, start: int, stop: int, seed: tuple[int, ...]) -> np.ndarray:
        """Rows of the examples number `start` to `stop` of training."""
        return stream_mixture([len(part) for part in self.parts], self.cycle, start, stop, seed)

    def _place(self, row: int) -> tuple[EncodedSplit, int]:
        """The source of a row, and its number there."""
        index = bisect_right(self._starts, row) - 1
        return self.parts[index], row - self._starts[index]


Split = EncodedSplit | JoinedSplit
"""What trains or is held out: one source, or several."""
