"""Intervals and paired differences, against literal resampling, against formulas, and at the edges."""

import math
import random

import numpy as np
import pytest

from rim.report.proportion import Proportion
from rim.report.statistics import estimate, paired_difference, resampled_means


def marks(*shares: float, examples: int = 400, seed: int = 0) -> np.ndarray:
    """[S, E]: of every seed this share is right, by chance."""
    draws = np.random.default_rng(seed).random((len(shares), examples))
    return draws < np.array(shares)[:, None]


def literal(correct: list[list[bool]], resamples: int) -> list[float]:
    """Draw seeds, draw examples, and average all answers of these seeds to these examples, one by one."""
    chance = random.Random(7)
    means = []
    for _ in range(resamples):
        seeds = [chance.randrange(len(correct)) for _ in correct]
        examples = [chance.randrange(len(correct[0])) for _ in correct[0]]
        answers = [correct[seed][example] for seed in seeds for example in examples]
        means.append(sum(answers) / len(answers))
    return means


@pytest.mark.parametrize("shares", [(0.3,), (0.2, 0.5, 0.6)])
def test_resamples_are_spread_as_literal_ones(shares: tuple[float, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    correct = marks(*shares, examples=60)
    expected = np.array(literal(correct.tolist(), 4000))
    monkeypatch.setattr("rim.report.statistics.RESAMPLES", 4000)
    found = resampled_means(correct, stream=0)
    assert found.mean() == pytest.approx(expected.mean(), abs=0.01)
    assert found.std() == pytest.approx(expected.std(), rel=0.06)
    assert np.quantile(found, [0.025, 0.5, 0.975]) == pytest.approx(
        np.quantile(expected, [0.025, 0.5, 0.975]), abs=0.02
    )


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_one_seed_gives_the_normal_interval_of_a_share(confidence: float) -> None:
    correct = marks(0.3, examples=1000)
    found, p = estimate(correct, confidence), correct.mean()
    half = {0.8: 1.2816, 0.95: 1.96}[confidence] * math.sqrt(p * (1 - p) / 1000)
    assert found.value == pytest.approx(p) and found.per_seed == (pytest.approx(p),)
    assert (found.low, found.high) == pytest.approx((p - half, p + half), abs=0.005)


def test_seeds_that_disagree_widen_the_interval_as_their_own_spread_does() -> None:
    """Two seeds, one always right and one always wrong: resamples of them average 0, 1/2 or 1."""
    found = estimate(np.array([[True] * 50, [False] * 50]))
    assert (found.value, found.low, found.high, found.per_seed) == (0.5, 0.0, 1.0, (1.0, 0.0))


def test_examples_are_shared_by_seeds_so_more_equal_seeds_do_not_narrow_the_interval() -> None:
    one = marks(0.4)
    single, many = estimate(one), estimate(np.repeat(one, 5, axis=0))
    assert (single.low, single.high) == pytest.approx((many.low, many.high), abs=1e-9)


@pytest.mark.parametrize(("right", "value"), [(True, 1.0), (False, 0.0)])
def test_where_all_answers_are_alike_the_interval_is_wilsons(right: bool, value: float) -> None:
    found = estimate(np.full((3, 80), right))
    assert found.value == value and (found.low, found.high) == Proportion(80 * right, 80).interval(0.95)
    assert found.high - found.low > 0.04


def test_a_difference_is_as_wide_as_its_formula() -> None:
    """One seed each: the variance of a mean difference is that of the examples' differences over their number."""
    first = marks(0.6, examples=1000, seed=1)
    second = np.where(marks(0.7, examples=1000, seed=2), first, marks(0.4, examples=1000, seed=3))  # mostly the same
    found, each = paired_difference(first, second), first.astype(float) - second
    half = 1.96 * each.std() / math.sqrt(1000)
    assert found.value == pytest.approx(each.mean())
    assert (found.low, found.high) == pytest.approx((each.mean() - half, each.mean() + half), abs=0.005)


def test_pairing_narrows_where_answers_go_together() -> None:
    first = marks(0.5, seed=1)
    second = first.copy()
    second[0, :20] = False
    paired = paired_difference(first, second)
    unpaired = np.hypot(*(each.high - each.low for each in (estimate(first), estimate(second))))
    assert paired.high - paired.low < 0.5 * unpaired
    assert paired.value > 0 and paired.p < 0.01


def test_equal_predictions_do_not_differ() -> None:
    found = paired_difference(marks(0.5), marks(0.5))
    assert (found.value, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)


def test_the_sign_is_the_entrys_minus_the_references_and_p_is_two_sided() -> None:
    better, worse = marks(0.8, 0.82, seed=1), marks(0.5, 0.52, 0.51, seed=2)
    up, down = paired_difference(better, worse), paired_difference(worse, better)
    assert up.value == pytest.approx(-down.value) and 0.2 < up.low < up.value < up.high
    assert up.p == down.p == pytest.approx(2 / 2001)


def test_p_is_twice_the_share_on_the_other_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """A difference of one standard error: the two-sided share of the normal distribution is 0.317."""
    first, second = np.zeros((1, 400), bool), np.zeros((1, 400), bool)
    first[0, :55], second[0, 55:100] = True, True  # 55 against 45 of 100 that differ: 10 = one standard deviation
    monkeypatch.setattr("rim.report.statistics.RESAMPLES", 20_000)
    assert paired_difference(first, second).p == pytest.approx(0.317, abs=0.04)


def test_resampling_repeats_itself() -> None:
    correct = marks(0.3, 0.4)
    assert estimate(correct) == estimate(correct)


def test_different_numbers_of_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="400 and 300 examples: a paired difference needs the same ones"):
        paired_difference(marks(0.5), marks(0.5, examples=300))
