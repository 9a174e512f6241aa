"""Which checkpoint: the best of every stage by validation accuracy, the last of every stage, and one final pick.

A grounding accuracy and a refinement accuracy do not compare (grounding reads after block T, which a user does not
know), so best is kept per stage, and the final pick is the best of the last stage.
"""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Candidate:
    """A checkpoint that was scored on the validation set: file stem, stage, updates done, right answers of count."""

    name: str
    stage: str
    update: int
    correct: int
    count: int


@dataclass
class Selection:
    """The candidates of a run so far, in plain types for checkpoints and `selection.json`."""

    best: dict[str, Candidate] = field(default_factory=dict)
    last: dict[str, Candidate] = field(default_factory=dict)

    def update_best(self, stage: str, update: int, correct: int, count: int) -> bool:
        """Take note of a score; True where it is the best of its stage so far. The later of equals wins: it has
        trained longer, and saturated tasks would otherwise keep the first checkpoint that happens to be perfect."""
        if stage in self.best and correct < self.best[stage].correct:
            return False
        self.best[stage] = Candidate(f"{stage}-best", stage, update, correct, count)
        return True

    def close(self, stage: str, update: int, correct: int, count: int) -> None:
        """Note the last checkpoint of a stage."""
        self.last[stage] = Candidate(f"{stage}-last", stage, update, correct, count)

    @property
    def final(self) -> Candidate | None:
        """The pick: the best of the last stage that was scored; None before any score."""
        return list(self.best.values())[-1] if self.best else None

    def state(self) -> dict[str, Any]:
        """Plain types."""
        final = self.final
        return {**asdict(self), "final": final.name if final else None}

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Selection":
        """The inverse of `state`."""
        parts = ({name: Candidate(**c) for name, c in state[key].items()} for key in ("best", "last"))
        return cls(*parts)
