"""The clock: every step has its share, and what a step leaves goes to those after it."""

import time
from collections.abc import Sequence

SHARES = {"equalities": 110, "answering": 180, "training": 130, "waits": 60, "arithmetic": 120}
"""Seconds of each step, in order, the most telling first; scaled where the clock has fewer or more in all. The last one
trains for as long as there is time."""
SECONDS = sum(SHARES.values())


class Clock:
    """Seconds that may pass from a moment on.

    Args:
        begun: moment in seconds of `time.monotonic`, which all processes of a machine share.
    """

    def __init__(self, seconds: float, begun: float) -> None:
        self.end = begun + seconds

    @property
    def left(self) -> float:
        """Seconds from now on."""
        return self.end - time.monotonic()

    def ends(self, steps: Sequence[str]) -> dict[str, float]:
        """The moment at which each of these steps has to end, if all of them are to have their share."""
        now, whole, ends = time.monotonic(), sum(SHARES[step] for step in steps), {}
        share = 0.0
        for step in steps:
            share += SHARES[step] / whole
            ends[step] = now + share * max(0.0, self.end - now)
        return ends
