"""The test sets that a run was scored on, as its results folder has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rim.evaluation.predictions import Prediction, read_jsonl
from rim.report.proportion import Proportion
from rim.runs.folder import RunFolder


@dataclass(frozen=True)
class Scored:
    """A test set: source (`task/split`), file of predictions, answer rule, and the score of a checkpoint.

    `blocks` is the number of memory blocks that it was scored with; None: the run's own.
    """

    source: str
    file: Path
    rule: str
    checkpoint: str
    share: Proportion
    blocks: int | None = None

    @cached_property
    def rows(self) -> list[Prediction]:
        """The questions with their answers."""
        return read_jsonl(self.file)


def scored(folder: RunFolder) -> list[Scored]:
    """All of a run's; none where it has not ended."""
    found = []
    for file in sorted((folder.path / "results").glob("*.jsonl")):
        result = folder.read(f"results/{file.stem}.json")
        share = Proportion(result["final"]["correct"], result["examples"])
        rule = result.get("rule", {}).get("name", "text")
        source, blocks = result.get("source", file.stem), result.get("blocks")
        found.append(Scored(source, file, rule, result["name"], share, blocks))
    return found


def questions(sets: Sequence[Scored], most: int) -> list[str]:
    """Up to `most` different questions, of each test set in turn."""
    rows = [[row.question for row in each.rows] for each in sets]
    turns = [texts[place] for place in range(most) for texts in rows if place < len(texts)]
    return list(dict.fromkeys(turns))[:most]
