"""Wilson's interval against its quadratic and published values, and counts that are no share."""

import math

import numpy as np
import pytest

from rim.report.proportion import Proportion

Z95 = 1.959963984540054
"""97.5 % point of the normal distribution, from tables."""


@pytest.mark.parametrize("count", [1, 2, 10, 1319])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.97, 1.0])
def test_the_ends_of_the_interval_solve_wilsons_quadratic(count, share):
    correct = round(share * count)
    # (p - value)^2 = z^2 p (1 - p) / n, brought to the form a p^2 + b p + c = 0.
    value = correct / count
    roots = np.roots([1 + Z95**2 / count, -(2 * value + Z95**2 / count), value**2])
    assert Proportion(correct, count).interval(0.95) == pytest.approx(sorted(roots.real), abs=1e-9)


@pytest.mark.parametrize(
    ("correct", "count", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),  # R. G. Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_the_published_one(correct, count, low, high):
    assert Proportion(correct, count).interval(0.95) == pytest.approx((low, high), abs=5e-5)


def test_the_interval_ends_exactly_at_zero_and_one_and_widens_with_confidence():
    for count in (1, 7, 264, 1319):
        assert Proportion(0, count).interval()[0] == 0.0
        assert Proportion(count, count).interval()[1] == 1.0
        assert 0 < Proportion(0, count).interval()[1] < Proportion(0, count).interval(0.99)[1] < 1
    assert Proportion(0, 0).interval() == (0.0, 1.0)
    assert math.isnan(Proportion(0, 0).value)


@pytest.mark.parametrize(("correct", "count"), [(3, 2), (-1, 2)])
def test_more_right_than_asked_is_refused(correct, count):
    with pytest.raises(ValueError, match=f"{correct} of {count} is no proportion"):
        Proportion(correct, count)
