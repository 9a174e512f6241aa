"""Accuracy as sums and counts; division happens once, at the end.

Axes: E examples, K blocks.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from rim.evaluation.predictions import Prediction, PredictionError, natural_key
from rim.report.proportion import Proportion

Label = TypeVar("Label", int, str)


@dataclass(frozen=True)
class Score:
    """Accuracy of one evaluation, in sums and counts.

    `examples` is the number of distinct examples, `correct_K` how many are right after each block, `correct_any` how
    many after at least one. `by_steps_K` holds every block's answers per number of reasoning steps, `by_size` the
    final ones per class of the true answer.
    """

    examples: int = 0
    correct_K: tuple[int, ...] = ()
    correct_any: int = 0
    by_steps_K: dict[int, tuple[Proportion, ...]] = field(default_factory=dict)
    by_size: dict[str, Proportion] = field(default_factory=dict)

    @property
    def correct_final(self) -> int:
        return self.correct_K[-1] if self.correct_K else 0

    @property
    def blocks(self) -> tuple[Proportion, ...]:
        """Right after each block, K of them."""
        return tuple(Proportion(correct, self.examples) for correct in self.correct_K)

    @property
    def final(self) -> Proportion:
        return Proportion(self.correct_final, self.examples)

    @property
    def any(self) -> Proportion:
        """Right after at least one block: an oracle that knows which block to trust, never the score."""
        return Proportion(self.correct_any, self.examples)

    @property
    def by_steps(self) -> dict[int, Proportion]:
        """Right after the last block, per number of reasoning steps."""
        return {steps: blocks[-1] for steps, blocks in self.by_steps_K.items()}


def score(predictions: Iterable[Prediction]) -> Score:
    """Count right answers; of no predictions the empty score, as a process without examples has it.

    Raises:
        PredictionError: an id occurs twice, or the numbers of answers differ.
    """
    rows = list(predictions)
    _check_ids(rows)
    if not rows:
        return Score()
    _check_blocks({len(row.correct) for row in rows})
    correct_EK = np.array([row.correct for row in rows], dtype=bool)
    by_size_K = _grouped([row.size for row in rows], correct_EK, key=natural_key)
    return Score(
        examples=len(rows),
        correct_K=tuple(correct_EK.sum(0).tolist()),
        correct_any=int(correct_EK.any(1).sum()),
        by_steps_K=_grouped([row.steps for row in rows], correct_EK, key=lambda steps: steps),
        by_size={size: blocks[-1] for size, blocks in by_size_K.items()},
    )


def _check_ids(rows: Sequence[Prediction]) -> None:
    seen: set[str] = set()
    for row in rows:
        if row.id in seen:
            raise PredictionError(f"example {row.id!r} occurs twice: an example counts once; `merge` before `score`")
        seen.add(row.id)


def _check_blocks(counts: set[int]) -> None:
    if len(counts) > 1:
        known = " and ".join(str(count) for count in sorted(counts))
        raise PredictionError(
            f"some examples have {known} answers: accuracy after block k needs every example read after every block. "
            "Score evaluations with different numbers of blocks apart"
        )


def _grouped(
    labels: Sequence[Label], correct_EK: np.ndarray, key: Callable[[Label], Any]
) -> dict[Label, tuple[Proportion, ...]]:
    rows: dict[Label, list[int]] = {}
    for index, label in enumerate(labels):
        rows.setdefault(label, []).append(index)
    return {
        label: tuple(Proportion(int(correct), len(rows[label])) for correct in correct_EK[rows[label]].sum(0))
        for label in sorted(rows, key=key)
    }
