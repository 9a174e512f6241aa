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
    def listening(self) -> Iterator[None]:
        """Listen, and put the handler of before back afterwards."""
        before = signal.getsignal(signal.SIGTERM)
        self.listen()
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
