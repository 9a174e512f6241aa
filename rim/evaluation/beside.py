"""Scores of other runs on the same test rows, beside the controls of a run: what training without blocks gives.

A control changes the blocks under weights that were trained with them. A run of `direct` or `repeat`, trained for as
long, says what the same weights learn without.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rim.base.errors import UserError
from rim.evaluation.metrics import Score
from rim.report.proportion import Proportion
from rim.report.tables import decimal, percent, table, with_bounds
from rim.runs.folder import RunFolder


class BesideError(UserError):
    """A run whose scores cannot stand beside those of another."""


def beside_report(paths: Sequence[Path], source: str, rows: str, score: Score, confidence: float) -> str:
    """A table of the recorded scores of these runs, with the score that they stand beside.

    Args:
        rows: sha256 of the encoded rows of the test set `source`.

    Raises:
        RunError: there is no such run.
        BesideError: it has no score of these rows.
    """
    header = ("run", "method", "updates", "accuracy", f"{percent(confidence)} interval", "this run minus it")
    lines = []
    for path in paths:
        facts = _score_of(path, source, rows)
        share = Proportion(facts["final"]["correct"], facts["final"]["count"])
        minus = f"{score.final.value - share.value:+.3f}"
        method = RunFolder(path).config_as_saved().method.name
        lines.append((str(path), method, f"{facts['update']:,}", *with_bounds(share, confidence), minus))
    title = f"### Other runs on the same rows (this run: {decimal(score.final.value)})"
    return f"{title}\n\n{table(lines, header)}"


def _score_of(path: Path, source: str, rows: str) -> dict[str, Any]:
    folder = RunFolder(path)
    folder.config_as_saved()
    facts: dict[str, Any] | None = folder.read(f"results/{source.replace('/', '-')}.json")
    again = f"score it: python -m rim.evaluate --run {path} --test {source}"
    if facts is None:
        raise BesideError(f"--beside {path}: this run has no score of {source}; {again}")
    if facts.get("rows") != rows:
        raise BesideError(
            f"--beside {path}: its score of {source} is of other rows or tokens, and does not compare; {again}, "
            "with the data settings of this run"
        )
    return facts
