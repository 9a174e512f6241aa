"""The paper's selection protocol: validation rows choose among checkpoints, the other rows score the choice.

Axes: C candidates (checkpoints, in the order of training), E examples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rim.base.errors import UserError


class ProtocolError(UserError):
    """A selection that cannot be made."""


@dataclass(frozen=True)
class SelectionResult:
    """What random splits chose, and how the choice scored on the rows that did not choose.

    `per_split` holds (name of the chosen candidate, its accuracy on the rest) for each split. `standard_error` is the
    standard deviation of those accuracies (n - 1) / sqrt(splits), as in the paper. The splits share their examples, so
    it tells how far the choice moves the score, not how far another test set would: for that see `Proportion.interval`.
    """

    mean: float
    standard_error: float
    per_split: tuple[tuple[str, float], ...]
    rows: int
    examples: int


def select_by_splits(
    correct_CE: np.ndarray, names: Sequence[str], rows: int, splits: int = 16, seed: int = 0
) -> SelectionResult:
    """Choose and score on disjoint rows of one test set, in `splits` random ways (method.md, section 6).

    In each split `rows` random examples choose the candidate with most right answers (of equals the last, which
    trained longest) and the remaining E - rows examples alone score it. Split s is the same for any number of splits.

    Args:
        correct_CE: [C, E] bool, whether a candidate's final answer is right.
        rows: examples that choose, in each split.
        splits: number of random splits, at least 2.
    """
    per_split = tuple(_split(correct_CE, names, rows, (seed, index)) for index in range(splits))
    scores = np.array([value for _, value in per_split])
    error = float(scores.std(ddof=1) / np.sqrt(splits))
    return SelectionResult(float(scores.mean()), error, per_split, rows, correct_CE.shape[1])


def _split(correct_CE: np.ndarray, names: Sequence[str], rows: int, seed: tuple[int, int]) -> tuple[str, float]:
    order = np.random.default_rng(seed).permutation(correct_CE.shape[1])
    right_C = correct_CE[:, order[:rows]].sum(1)
    chosen = int(np.flatnonzero(right_C == right_C.max())[-1])
    return names[chosen], float(correct_CE[chosen, order[rows:]].mean())


def check_numbers(examples: int, rows: int, splits: int) -> None:
    """Refuse numbers that allow no selection, before any work.

    Raises:
        ProtocolError: too few examples, rows that leave none to score, or fewer than two splits.
    """
    if examples < 2:
        raise ProtocolError(
            f"a selection needs 2 examples, one to choose and one to score; the test set has {examples}"
        )
    if not 0 < rows < examples:
        raise ProtocolError(
            f"evaluation.selection_rows is {rows} and the test set has {examples} examples: rows that choose a "
            f"checkpoint never score it, so evaluation.selection_rows lies between 1 and {examples - 1}"
        )
    if splits < 2:
        raise ProtocolError(
            f"evaluation.selection_splits is {splits}: a standard error over splits needs at least 2; the paper uses 16"
        )
