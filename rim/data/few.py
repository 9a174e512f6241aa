"""How many rows of a source may fail before the source is refused."""

from dataclasses import dataclass, field

FEW = 3
SHARE = 0.01
SHOWN = 3
"""Failures that a refusal shows, each of another kind."""
LIMIT = f"at most {FEW} rows, or {SHARE:.0%} of them"


@dataclass
class Failures:
    """Rows that were looked at, those among them that failed, and what was wrong with the first of these.

    `examples` holds what was wrong, and the first row of which it was so.
    """

    rows: int = 0
    failed: int = 0
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, row: str, wrong: str) -> None:
        """One more row failed."""
        self.failed += 1
        if len(self.examples) < SHOWN:
            self.examples.setdefault(wrong, row)

    @property
    def too_many(self) -> bool:
        """Whether more than a few rows failed, or all of them."""
        return self.failed > max(FEW, SHARE * self.rows) or 0 < self.failed == self.rows

    def __str__(self) -> str:
        more = f"; and {self.failed - len(self.examples):,} more" if self.failed > len(self.examples) else ""
        return "; ".join(f"{row}: {wrong}" for wrong, row in self.examples.items()) + more
