"""Intervals of counts against one example, one seed and one resample at a time, and at the edges."""

from statistics import NormalDist, stdev

import numpy as np
import pytest

from rim.report.counts import estimate_counts, nested_binomials
from rim.report.proportion import Proportion


def shares(*right: int, of: int = 200) -> list[Proportion]:
    return [Proportion(n, of) for n in right]


def literal_interval(scores: list[Proportion], resamples: int = 4000) -> tuple[float, float]:
    """One example, one seed and one resample at a time."""
    generator = np.random.default_rng(7)
    means = []
    for _ in range(resamples):
        difficulty = generator.random(scores[0].count)
        answered = [np.mean([d < score.value for d in difficulty]) for score in scores]
        drawn = generator.integers(len(scores), size=len(scores))
        means.append(np.mean([answered[index] for index in drawn]))
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


@pytest.mark.parametrize("right", [(60,), (60, 100), (40, 50, 90)])
def test_an_interval_is_that_of_drawing_seeds_and_examples_one_by_one(right: tuple[int, ...]) -> None:
    scores = shares(*right)
    found = estimate_counts(scores)
    assert found.value == pytest.approx(sum(right) / len(right) / 200)
    assert found.per_seed == tuple(n / 200 for n in right)
    assert (found.low, found.high) == pytest.approx(literal_interval(scores), abs=0.008)


def test_with_one_seed_examples_alone_vary() -> None:
    found, z = estimate_counts(shares(400, of=1000)), NormalDist().inv_cdf(0.975)
    half = z * (0.4 * 0.6 / 1000) ** 0.5
    assert (found.low, found.high) == pytest.approx((0.4 - half, 0.4 + half), abs=0.003)


def test_equal_seeds_are_as_sure_as_one_since_they_may_miss_the_same_examples() -> None:
    one, many = estimate_counts(shares(60)), estimate_counts(shares(60, 60, 60, 60))
    assert (many.low, many.high) == pytest.approx((one.low, one.high), abs=0.006)
    apart = estimate_counts(shares(20, 100))
    assert apart.high - apart.low > 1.5 * (one.high - one.low), "seeds that differ widen it"


def test_where_all_are_right_or_wrong_wilsons_interval_stands() -> None:
    for right in (0, 50):
        found = estimate_counts(shares(right, right, of=50))
        assert (found.low, found.high) == Proportion(right, 50).interval()
        assert found.high > found.low


def test_confidence_and_repetition() -> None:
    scores = shares(60, 90)
    wide, narrow = estimate_counts(scores, 0.99), estimate_counts(scores, 0.5)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    assert estimate_counts(scores) == estimate_counts(scores)


def test_nested_binomials_have_the_moments_of_binomials_and_never_cross() -> None:
    share_S = np.array([0.7, 0.2, 0.5])
    right_RS = nested_binomials(share_S, 100, 20_000, np.random.default_rng(0))
    np.testing.assert_allclose(right_RS.mean(0), 100 * share_S, atol=0.2)
    np.testing.assert_allclose(right_RS.var(0), 100 * share_S * (1 - share_S), rtol=0.05)
    assert (right_RS[:, 1] <= right_RS[:, 2]).all() and (right_RS[:, 2] <= right_RS[:, 0]).all()


def test_runs_on_different_numbers_of_examples_weigh_the_same() -> None:
    found = estimate_counts([Proportion(50, 100), Proportion(300, 1000)])
    assert found.value == pytest.approx(0.4) and found.low < 0.4 < found.high


def test_spread_is_the_sample_deviation_and_unknown_of_one_seed() -> None:
    assert estimate_counts(shares(60, 90)).deviation == pytest.approx(stdev([0.3, 0.45]))
    assert estimate_counts(shares(60)).deviation is None
