"""SIGTERM asks a run to save and leave; what to do about it is the curriculum's."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class StopRequest:
    """Whether SIGTERM has arrived."""

    def __init__(self) -> None:
        self.received = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.received = True

    def listen(self) -> None:
        """Take the signal over. Lightning's own handler raises at once, before anything is saved."""
        signal.signal(signal.SIGTERM, self)

    @contextmanager
    def listening(self, *more: signal.Signals) -> Iterator[None]:
        """Listen, also for these signals, and put the handlers of before back afterwards."""
        before = {number: signal.signal(number, self) for number in (signal.SIGTERM, *more)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
