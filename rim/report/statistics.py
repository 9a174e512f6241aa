"""Intervals over seeds and examples, and paired differences, by resampling.

Every example is answered by every seed, so seeds and examples are crossed: a resample draws seeds with replacement,
draws examples with replacement, and takes all answers of the drawn seeds to the drawn examples.
Source: A. B. Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 386-411 (2007).

Axes: S seeds, E examples, R resamples.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from statistics import fmean, stdev

import numpy as np

from rim.report.proportion import Proportion

RESAMPLES = 2000


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval, and the value of every seed."""

    value: float
    low: float
    high: float
    per_seed: tuple[float, ...]

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation over seeds; None of one seed, which says nothing about others."""
        return stdev(self.per_seed) if len(self.per_seed) > 1 else None


@dataclass(frozen=True)
class Difference:
    """How much higher one entry scores than another on the same examples, and how surely.

    `p` is twice the share of resamples on the smaller side of zero, at most 1 (the observed one counted in, so that it
    is never 0): small where the sign is sure.
    """

    value: float
    low: float
    high: float
    p: float


def estimate(correct_SE: np.ndarray, confidence: float = 0.95) -> Estimate:
    """Mean accuracy with its interval. With one seed examples alone vary.

    Where all answers are right, or all are wrong, resamples are all alike: Wilson's interval of the examples stands.

    Args:
        correct_SE: whether each seed's answer to each example is right.
        confidence: of the interval, between 0 and 1.
    """
    per_seed = tuple(float(share) for share in correct_SE.mean(1))
    resampled = partial(resampled_means, correct_SE, stream=0)
    return estimate_of(float(correct_SE.mean()), per_seed, correct_SE.shape[1], resampled, confidence)


def estimate_of(
    value: float, per_seed: tuple[float, ...], examples: int, resampled: Callable[[], np.ndarray], confidence: float
) -> Estimate:
    """A mean with the interval of its resamples; of a mean of 0 or 1 with Wilson's of the examples.

    Args:
        resampled: gives means [R].
        confidence: of the interval, between 0 and 1.
    """
    if value in (0.0, 1.0):
        return Estimate(value, *Proportion(int(value) * examples, examples).interval(confidence), per_seed)
    return Estimate(value, *interval_of(resampled(), confidence), per_seed)


def paired_difference(correct_SE: np.ndarray, reference_SE: np.ndarray, confidence: float = 0.95) -> Difference:
    """Accuracy of an entry minus that of the reference: examples are drawn for both together, seeds for each.

    Args:
        correct_SE: the entry's marks.
        reference_SE: the reference's, of as many seeds as it has, with the examples in the same order.
        confidence: of the interval, between 0 and 1.

    Raises:
        ValueError: the numbers of examples differ.
    """
    if correct_SE.shape[1] != reference_SE.shape[1]:
        raise ValueError(
            f"{correct_SE.shape[1]} and {reference_SE.shape[1]} examples: a paired difference needs the same ones"
        )
    difference_R = resampled_means(correct_SE, stream=0) - resampled_means(reference_SE, stream=1)
    value = float(correct_SE.mean() - reference_SE.mean())
    fewest = min(int((difference_R <= _ROUNDING).sum()), int((difference_R >= -_ROUNDING).sum()))
    return Difference(value, *interval_of(difference_R, confidence), min(1.0, 2 * (fewest + 1) / (RESAMPLES + 1)))


_ROUNDING = 1e-9
"""Differences below it are none."""


def resampled_means(correct_SE: np.ndarray, stream: int) -> np.ndarray:
    """Means [R] of resamples; the same examples are drawn whatever the `stream`, which chooses the seeds."""
    seeds, examples = correct_SE.shape
    correct_RS = _drawn(examples, RESAMPLES, 0) @ correct_SE.T.astype(np.float32)  # exact: small whole numbers
    drawn_RS = _drawn(seeds, RESAMPLES, 1 + stream)
    return (drawn_RS * correct_RS).sum(1, dtype=np.float64) / (seeds * examples)


@lru_cache(maxsize=32)
def _drawn(count: int, resamples: int, stream: int) -> np.ndarray:
    """How often [R, count] each of `count` things is among as many drawn with replacement."""
    generator = np.random.default_rng((0, stream, count))
    return generator.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float32)


def mean_if_known(values: Sequence[float | None]) -> float | None:
    """The mean; None where a value is not known, or there is none."""
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def interval_of(values_R: np.ndarray, confidence: float) -> tuple[float, float]:
    """The middle of values of resamples that holds this share of them."""
    low, high = np.quantile(values_R, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
