"""Two things timed in turn, A B A B …, so that a machine that grows faster or slower changes both alike."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

WARM_UP = 2
"""Rounds before the clock counts."""


@dataclass(frozen=True)
class Pairs:
    """Times of A and B in seconds, pair by pair, and what is asked of the ratio A / B.

    `bar` is the most that the ratio may be, or the least with `at_least`; None: shown for comparison, nothing is asked.
    `tokens` is the ratio of the tokens that A and B read, padding included; None where they are not compared so. With
    `per_token` the bar is on the ratio over that of the tokens.
    """

    what: str
    a: str
    b: str
    seconds_a: Sequence[float]
    seconds_b: Sequence[float]
    bar: float | None = None
    at_least: bool = False
    tokens: float | None = None
    per_token: bool = False

    @property
    def ratios(self) -> np.ndarray:
        """A / B of every pair."""
        return np.asarray(self.seconds_a) / np.asarray(self.seconds_b)

    @property
    def met(self) -> bool | None:
        """Whether the median ratio keeps to the bar."""
        if self.bar is None:
            return None
        ratio = float(np.median(self.ratios))
        if self.per_token:
            assert self.tokens is not None
            ratio /= self.tokens
        return ratio >= self.bar if self.at_least else ratio <= self.bar

    def row(self) -> list[str]:
        """Cells of the table; times and ratio as median, ratio with its 10th and 90th percentile."""
        tokens = "" if self.tokens is None else f"{self.tokens:.2f}"
        bar = "" if self.bar is None else f"{'at least' if self.at_least else 'at most'} {self.bar:g}"
        bar += " x tokens" if self.per_token else ""
        met = {None: "", True: "yes", False: "NO"}[self.met]
        low, median, high = np.percentile(self.ratios, (10, 50, 90))
        times = [f"{self.a}: {_milliseconds(self.seconds_a)}", f"{self.b}: {_milliseconds(self.seconds_b)}"]
        return [self.what, *times, f"{median:.3f} ({low:.3f} to {high:.3f})", tokens, bar, met]

    def facts(self) -> dict[str, object]:
        """The same as plain types; `ratio_of_sums` is what whole runs would show."""
        low, median, high = np.percentile(self.ratios, (10, 50, 90)).round(4).tolist()
        total = round(sum(self.seconds_a) / sum(self.seconds_b), 4)
        return {
            "what": self.what,
            "a": {"name": self.a, **_spread(self.seconds_a)},
            "b": {"name": self.b, **_spread(self.seconds_b)},
            "ratio": {"p10": low, "median": median, "p90": high},
            "ratio_of_sums": total,
            "ratio_of_tokens": self.tokens and round(self.tokens, 4),
            "bar": self.bar and {"at_least" if self.at_least else "at_most": self.bar},
            "bar_is_per_token": self.per_token,
            "met": self.met,
            "pairs": len(self.seconds_a),
        }


def in_turn(a: Callable[[], object], b: Callable[[], object], pairs: int) -> tuple[list[float], list[float]]:
    """Seconds of `a` and of `b`, called in turn, without the rounds of warm-up."""
    rounds = [(_seconds(a), _seconds(b)) for _ in range(WARM_UP + pairs)][WARM_UP:]
    return [first for first, _ in rounds], [second for _, second in rounds]


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _milliseconds(seconds: Sequence[float]) -> str:
    median = 1e3 * float(np.median(seconds))
    return f"{median:,.0f} ms" if median >= 100 else f"{median:.1f} ms"


def _spread(seconds: Sequence[float]) -> dict[str, float]:
    low, median, high = (1e3 * np.percentile(seconds, (10, 50, 90))).round(3).tolist()
    return {"p10_ms": low, "median_ms": median, "p90_ms": high}
