"""Whose block states stand in for an example's: the test set decides, and not the batch."""

from typing import Any

import numpy as np
import pytest

from rim.backbone.backbone import Backbone
from rim.evaluation.donors import REFERENCES, donors, references
from rim.evaluation.evaluator import Evaluator, batches
from rim.evaluation.lengths import Lengths
from rim.evaluation.scoring import score_source
from rim.methods.registry import build_method
from rim.settings import Evaluation
from tests.models import Rows, example, tiny_backbone
from tests.variants import settings


def rows(*lengths: int, seeds: tuple[int, ...] = ()) -> Any:
    """Questions of these lengths; those of one length and seed are the same."""
    return Rows(example(length, seed=seed) for length, seed in zip(lengths, seeds or range(len(lengths)), strict=True))


def evaluator(family: str = "llama") -> tuple[Backbone, Evaluator]:
    backbone = tiny_backbone(family)
    return backbone, Evaluator(
        build_method(settings("memory_blocks"), backbone.tokenizer), backbone.tokenizer, Lengths(6, 6)
    )


# ---------------------------------------------------------------- the choice


def test_a_donor_is_the_next_by_length() -> None:
    split = rows(9, 5, 40, 14, 7)
    assert donors(split, range(5)) == [3, 4, 1, 2, 0]
    assert donors(split, [2, 0]) == [1, 3]


def test_a_donor_asks_another_question() -> None:
    split = rows(9, 9, 9, 9, 5, seeds=(1, 1, 2, 1, 0))
    assert donors(split, range(5)) == [2, 2, 3, 4, 0]


def test_where_all_questions_are_the_same_the_donor_is_the_next() -> None:
    assert donors(rows(9, 9, 9, seeds=(1, 1, 1)), range(3)) == [1, 2, 0]


def test_references_are_spread_over_the_lengths() -> None:
    split = rows(*range(2, 2 + 4 * REFERENCES))
    found = references(split)
    assert len(found) == len({*found}) == REFERENCES
    assert found[0] == 0 and found[-1] == len(split) - 1 and {*np.diff(found)} <= {4, 5}
    assert sorted(references(rows(9, 5, 40))) == [0, 1, 2]


# ---------------------------------------------------------------- what it is for


@pytest.mark.parametrize("control", ["swapped", "noise", "mean", "other_slot", "values_only"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_batch_has_no_part_in_a_control(family: str, control: str) -> None:
    """Questions alone, in twos and threes, and all together."""
    (backbone, evaluates), split = evaluator(family), rows(9, 5, 40, 14, 7)
    whole = evaluates.run(backbone, split, 8, control=control)
    assert all(evaluates.run(backbone, split, size, control=control) == whole for size in (1, 2, 3))
    if family == "llama":
        assert whole != evaluates.run(backbone, split, 8)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_swap_among_the_same_questions_costs_nothing(family: str) -> None:
    (backbone, evaluates), split = evaluator(family), rows(9, 9, 9, seeds=(1, 1, 1))
    assert evaluates.run(backbone, split, 2, control="swapped") == evaluates.run(backbone, split, 2)


def test_one_question_has_no_donor() -> None:
    (backbone, evaluates), split = evaluator(), rows(9)
    assert evaluates.controls(split) == ("removed", "other_slot", "zero")
    result = score_source(evaluates, backbone, "x/test", split, Evaluation(controls=["removed", "swapped", "noise"]))
    assert [*result.controls] == ["removed"] and result.rows == "of these rows"


def test_batches_hold_every_row_once_by_length() -> None:
    assert [*batches(rows(9, 5, 40, 14, 7), 2)] == [[1, 4], [0, 3], [2]]
