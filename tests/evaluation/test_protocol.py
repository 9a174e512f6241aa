import math
import re
import statistics

import numpy as np
import pytest

from rim.evaluation.protocol import ProtocolError, check_numbers, select_by_splits


def marks(*right: int, examples: int = 40) -> np.ndarray:
    """[C, E]: candidate c is right on the first right[c] examples, shuffled."""
    rng = np.random.default_rng(0)
    return np.array([rng.permutation(np.arange(examples) < count) for count in right])


def rows_that_choose(examples: int, rows: int, seed: int, split: int) -> np.ndarray:
    """Found by trial: example e chooses where a candidate right on e alone beats one that is never right."""
    chosen = []
    for example in range(examples):
        correct_CE = np.zeros((2, examples), dtype=bool)
        correct_CE[0, example] = True
        result = select_by_splits(correct_CE, ["first", "second"], rows, split + 1, seed)
        if result.per_split[split][0] == "first":
            chosen.append(example)
    return np.array(chosen)


@pytest.mark.parametrize("split", [1, 3])
def test_the_rows_that_choose_never_score(split):
    chosen = rows_that_choose(examples=30, rows=12, seed=5, split=split)
    assert len(chosen) == 12
    correct_CE = np.zeros((2, 30), dtype=bool)
    correct_CE[0, chosen] = True
    correct_CE[1] = ~correct_CE[0]
    # Right exactly where it was chosen, wrong everywhere else; the other candidate is its mirror and is not chosen.
    assert select_by_splits(correct_CE, ["lucky", "honest"], 12, split + 1, 5).per_split[split] == ("lucky", 0.0)


def test_every_split_draws_other_rows_and_other_seeds_other_splits():
    drawn = [tuple(rows_that_choose(20, 8, seed, split)) for seed in (0, 1) for split in (1, 2)]
    assert len(set(drawn)) == 4
    assert drawn[0] == tuple(rows_that_choose(20, 8, 0, 1))


def test_a_split_does_not_depend_on_how_many_there_are():
    correct_CE = marks(20, 22)
    few, many = (select_by_splits(correct_CE, ["a", "b"], 10, splits, 3).per_split for splits in (4, 16))
    assert many[:4] == few


def test_mean_and_standard_error_are_over_the_splits():
    result = select_by_splits(marks(18, 20, 21), ["a", "b", "c"], 10, 16, 0)
    values = [value for _, value in result.per_split]
    assert len(values) == 16 and len(set(values)) > 1
    assert result.mean == pytest.approx(statistics.mean(values))
    assert result.standard_error == pytest.approx(statistics.stdev(values) / math.sqrt(16))
    assert (result.rows, result.examples) == (10, 40)


def test_the_best_candidate_wins_and_of_equals_the_last():
    best = select_by_splits(marks(40, 0, 20), ["a", "b", "c"], 10, 4, 0)
    assert best.per_split == (("a", 1.0),) * 4
    equal = select_by_splits(np.repeat(marks(20), 3, axis=0), ["a", "b", "c"], 10, 4, 0)
    assert [name for name, _ in equal.per_split] == ["c"] * 4


@pytest.mark.parametrize(
    ("examples", "rows", "splits", "message"),
    [
        (40, 40, 16, "evaluation.selection_rows is 40 and the test set has 40 examples"),
        (40, 264, 16, "evaluation.selection_rows lies between 1 and 39"),
        (40, 0, 16, "evaluation.selection_rows is 0"),
        (1, 1, 16, "a selection needs 2 examples, one to choose and one to score"),
        (40, 9, 1, "evaluation.selection_splits is 1: a standard error over splits"),
    ],
)
def test_what_cannot_be_selected_is_explained(examples, rows, splits, message):
    with pytest.raises(ProtocolError, match=re.escape(message)):
        check_numbers(examples, rows, splits)
