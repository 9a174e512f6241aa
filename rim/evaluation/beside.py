"""Scores of other runs on the same test rows, beside the controls of a run: what training without blocks gives.

A control changes the blocks under weights that were trained with them. A run of `direct` or `repeat`, trained for as
long, says what the same weights learn without.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rim.base.errors import UserError
from rim.data.encode import EncodedSplit
from rim.evaluation.metrics import Score
from rim.evaluation.scoring import rule_facts
from rim.report.proportion import Proportion
from rim.report.tables import decimal, percent, table, with_bounds
from rim.runs.folder import RunFolder


class BesideError(UserError):
    """A run whose scores cannot stand beside those of another."""


@dataclass(frozen=True)
class Other:
    """Another run: its folder, its method, the update of its weights, and its recorded score of a test set."""

    path: Path
    method: str
    update: int
    share: Proportion

    @classmethod
    def of(cls, path: Path, source: str, split: EncodedSplit) -> "Other":
        """What the run has recorded of the test set `source`, whose rows are `split`.

        Raises:
            RunError: there is no such run.
            BesideError: it has no score of these rows, or one that does not compare.
        """
        folder = RunFolder(path)
        method, facts = folder.config_as_saved().method.name, recorded(folder, source)
        again = f"score it: python -m rim.evaluate --run {path} --test {source}"
        if facts is None:
            raise BesideError(f"--beside {path}: this run has no score of {source}; {again}")
        if reason := differs(folder, facts, split):
            raise BesideError(
                f"--beside {path}: its score of {source} is {reason}, and does not compare; {again}, with the data "
                "settings of this run"
            )
        return cls(path, method, facts["update"], Proportion(facts["final"]["correct"], facts["final"]["count"]))


def recorded(folder: RunFolder, source: str) -> dict[str, Any] | None:
    """The last score of a test set that was written into a run's results; None: there is none."""
    facts: dict[str, Any] | None = folder.read(f"results/{source.replace('/', '-')}.json")
    return facts


def differs(folder: RunFolder, facts: dict[str, Any], split: EncodedSplit) -> str | None:
    """Why a recorded score is not what the run as it ended has of these rows, as it is marked today; None: it is."""
    if facts.get("rows") != split.report.encoded:
        return "of other rows or tokens"
    if facts.get("rule") != rule_facts(split.answer_rule):
        return "marked by another answer rule, or another version of it"
    final, blocks = folder.final(), folder.config_as_saved().memory.blocks
    if (facts["name"], facts.get("blocks", blocks)) != (final, blocks):
        return f"of checkpoint '{facts['name']}' with memory.blocks={facts.get('blocks', blocks)}, not of the run's own"
    return None


def beside_report(others: Sequence[Other], score: Score, confidence: float) -> str:
    """A table of the recorded scores of these runs, with the score that they stand beside."""
    header = ("run", "method", "updates", "accuracy", f"{percent(confidence)} interval", "this run minus it")
    lines = [
        (
            *(str(other.path), other.method, f"{other.update:,}", *with_bounds(other.share, confidence)),
            f"{score.final.value - other.share.value:+.3f}",
        )
        for other in others
    ]
    title = f"### Other runs on the same rows (this run: {decimal(score.final.value)})"
    return f"{title}\n\n{table(lines, header)}"
