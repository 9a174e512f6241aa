"""Runs as processes of their own: a command, its log, and how it ended.

A child's output goes to `<run folder>.log`, which it holds locked as long as it lives (`lock.py`), so a run that has
survived its parent is not started a second time. Children sit in sessions of their own: Ctrl-C reaches the parent
alone, which sends them SIGTERM, upon which they save and leave.
"""

import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rim.runs.machine import Share
from rim.runs.signals import StopRequest

POLL_SECONDS = 0.1
LAST_LINES = 8
"""Lines of a log that stand in the report of a failure."""


class Stopped(Exception):
    """SIGTERM or Ctrl-C arrived; all children have saved and ended."""


@dataclass(frozen=True)
class Job:
    """The command of a run, and what it is in words."""

    words: list[str]
    description: str


def launch(job: Job, log: BinaryIO, share: Share) -> subprocess.Popen[bytes]:
    """Start a run on its share of the machine."""
    return subprocess.Popen(
        job.words, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env=share.environment(),
        start_new_session=True,
    )  # fmt: skip


def end(processes: Iterable[subprocess.Popen[bytes]]) -> None:
    """Ask runs that have not ended to save and leave, and wait for them."""
    left = [process for process in processes if process.poll() is None]
    for process in left:
        process.send_signal(signal.SIGTERM)
    for process in left:
        process.wait()


def fit_command(base: Sequence[str], overrides: Sequence[str]) -> list[str]:
    """The command that trains or resumes a run, given files of its settings and everything beyond them."""
    files = ["--config", *base] if base else []
    return [sys.executable, "-m", "rim.fit", *files, *overrides]


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Take SIGTERM and Ctrl-C as requests; put back what was before afterwards."""
    stop = StopRequest()
    with stop.listening(signal.SIGINT):
        yield stop


def how_it_ended(log: Path, status: int) -> str:
    """Exit status of a child (negative: a signal), the end of its log and where it is."""
    text = log.read_text(encoding="utf-8", errors="replace").replace("\r", "\n")
    lines = [line for line in text.split("\n") if line.strip()][-LAST_LINES:]
    ended = f"exit status {status}" if status >= 0 else f"signal {-status}"
    return "\n".join([f"{ended}; {log} ends with", *(f"    {line}" for line in lines)])
