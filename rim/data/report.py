"""What became of the rows of a source, and how that is told."""

from dataclasses import dataclass, field
from textwrap import wrap

WIDTH = 86
"""Columns of a report: 100, less the margin in which the header of a run names the role of a split."""


@dataclass(frozen=True)
class Report:
    """What became of the rows of a source: `read` = `kept` + all of `dropped`, by reason.

    `capped` rows were kept with their first steps only; `distinct` counts different questions among those kept;
    `origin` names the file and its sha256, or the table of the hub and its commit. `noted` counts what is odd in rows
    that were not left out, by what it is; `encoded` is a sha256 of the rows as they are stored.
    """

    source: str
    read: int
    kept: int
    dropped: dict[str, int] = field(default_factory=dict)
    capped: int = 0
    distinct: int = 0
    origin: str = ""
    noted: dict[str, int] = field(default_factory=dict)
    encoded: str = ""

    def __str__(self) -> str:
        return self.text(self.source)

    def text(self, name: str, *facts: str) -> str:
        """The counts behind `name`, and other facts: in one line where it is short, else a line for each.

        Several reasons for leaving rows out stand below their total, the most frequent first.
        """
        first, more = f"{name}: {self.kept:,} of {self.read:,} rows", [*self._found(), *facts, *self._left_out()]
        line = ", ".join([first, *more])
        return line if len(line) <= WIDTH and len(self.dropped) < 2 else "\n  ".join([first, *more])

    def _found(self) -> list[str]:
        repeated = {"different questions": self.distinct} if self.distinct != self.kept else {}
        return [
            f"{count:,} {what}" for what, count in (repeated | {"capped": self.capped} | self.noted).items() if count
        ]

    def _left_out(self) -> list[str]:
        total = f"{sum(self.dropped.values()):,} left out:"
        if len(self.dropped) < 2:
            return [line for reason in self.dropped for line in _hanging(f"{total} ", reason)]
        reasons = sorted(self.dropped.items(), key=lambda each: -each[1])
        digits = len(f"{reasons[0][1]:,}")
        return [total, *(line for reason, count in reasons for line in _hanging(f"  {count:>{digits},}  ", reason))]


def _hanging(start: str, text: str) -> list[str]:
    """A text behind its start, in lines that begin below its first word."""
    margin = " " * len(start)
    return wrap(
        *(text, WIDTH - 2),
        initial_indent=start,
        subsequent_indent=margin,
        break_long_words=False,
        break_on_hyphens=False,
    )
