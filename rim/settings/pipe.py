"""End a command quietly when the program that reads its output, such as `head`, has ended."""

import os
import select
import signal
from collections.abc import Iterator
from contextlib import contextmanager

STATUS = 128 + signal.SIGPIPE
"""Exit status that shells give to a command which SIGPIPE has ended: 141."""
OUTPUTS = (1, 2)
"""File descriptors of standard output and standard error."""


@contextmanager
def quiet_when_unread() -> Iterator[None]:
    """Exit with status 141 and without a traceback when standard output or standard error has no reader any more.

    Raises:
        SystemExit: nobody reads the output.
        BrokenPipeError: another pipe, such as that of a child process, has lost its other end.
    """
    try:
        with _flushed():
            yield
    except BrokenPipeError:
        unread = [descriptor for descriptor in OUTPUTS if _is_unread(descriptor)]
        if not unread:
            raise
        for descriptor in unread:  # what the interpreter flushes as it ends goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
        raise SystemExit(STATUS) from None


@contextmanager
def _flushed() -> Iterator[None]:
    """Write out what was printed, also before an exit; short output reaches the pipe only now."""
    try:
        yield
    except SystemExit:
        print(end="", flush=True)
        raise
    print(end="", flush=True)


def _is_unread(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)  # errors are reported always
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
