"""Intervals over seeds and examples, of counts alone.

A study holds how many answers were right and not which, because predictions do not travel between machines. A
resample therefore draws seeds with replacement, and for each a binomial number of right answers. The seeds answer the
same examples, so their binomials are not independent, and how much they agree cannot be known from counts: they are
drawn as if a weaker seed were right only where a stronger one is, which is the widest interval that counts allow.

Axes: S seeds (runs), R resamples.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean

import numpy as np

from rim.report.proportion import Proportion
from rim.report.statistics import RESAMPLES, Estimate, estimate_of


def estimate_counts(scores: Sequence[Proportion], confidence: float = 0.95) -> Estimate:
    """Mean accuracy over runs with its interval. With one run examples alone vary.

    Where all answers are right, or all are wrong, resamples are all alike: Wilson's interval of the examples stands.

    Args:
        scores: one for each run.
        confidence: of the interval, between 0 and 1.
    """
    per_seed = tuple(score.value for score in scores)
    counts_S = np.array([score.count for score in scores])
    resampled = partial(_resampled_means, np.array(per_seed), counts_S, RESAMPLES, np.random.default_rng(0))
    return estimate_of(fmean(per_seed), per_seed, int(counts_S.min()), resampled, confidence)


def estimates(scores: Sequence[Mapping[str, Proportion]], confidence: float) -> dict[str, Estimate]:
    """By source, over the runs that have it."""
    sources = dict.fromkeys(source for each in scores for source in each)
    return {
        source: estimate_counts([each[source] for each in scores if source in each], confidence) for source in sources
    }


def _resampled_means(
    share_S: np.ndarray, count_S: np.ndarray, resamples: int, generator: np.random.Generator
) -> np.ndarray:
    seeds = len(share_S)
    share_RS = np.empty((resamples, seeds))
    for count in np.unique(count_S):
        members = count_S == count
        share_RS[:, members] = nested_binomials(share_S[members], int(count), resamples, generator) / count
    drawn_RS = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=resamples)
    return (drawn_RS * share_RS).sum(1) / seeds


def nested_binomials(share_S: np.ndarray, count: int, resamples: int, generator: np.random.Generator) -> np.ndarray:
    """Right answers [R, S] of `count`: each seed's are binomial, and who scores lower is right only where others are.

    An example has a difficulty that is uniform in [0, 1], and a seed is right where it is below the seed's share; the
    numbers of examples between two neighbouring shares are multinomial.
    """
    order_S = np.argsort(share_S)
    between = np.diff([0.0, *share_S[order_S], 1.0])
    right_RS = np.empty((resamples, len(share_S)))
    right_RS[:, order_S] = generator.multinomial(count, between, size=resamples)[:, :-1].cumsum(1)
    return right_RS
