"""A share of right answers, kept as two counts, with Wilson's interval."""

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Proportion:
    """`correct` out of `count`."""

    correct: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.correct <= self.count:
            raise ValueError(f"{self.correct} of {self.count} is no proportion: 0 <= correct <= count must hold")

    @property
    def value(self) -> float:
        """The share that is correct; nan of nothing."""
        return self.correct / self.count if self.count else math.nan

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Score interval: the shares p for which `value` lies within z standard errors of p itself.

        Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", Journal of
        the American Statistical Association 22, 209-212 (1927). It stays within [0, 1] and has a width at 0 and at 1.

        Args:
            confidence: between 0 and 1.
        """
        if not self.count:
            return 0.0, 1.0
        z2 = NormalDist().inv_cdf((1 + confidence) / 2) ** 2
        wrong = self.count - self.correct
        centre = self.correct + z2 / 2
        half = math.sqrt(z2 * self.correct * wrong / self.count + z2 * z2 / 4)
        low, high = (centre - half) / (self.count + z2), (centre + half) / (self.count + z2)
        return (low if self.correct else 0.0), (high if wrong else 1.0)
