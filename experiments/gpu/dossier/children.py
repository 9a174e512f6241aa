"""A step's process, seen from the one that keeps the record: started, listened to, and ended when its time is over.

Processes are forked from one that has done the imports and has never touched the GPU, so that none of them spends its
share on importing.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from dossier.report import Task
from dossier.work import work

PRELOADED = ("rim.training.run", "rim.studies.benchmark.conduct", "rim.methods.memory_blocks", "dossier.work", "pytest")
GRACE = {"arithmetic": 8.0}
"""Seconds before the end of a step in which its process may save, having been asked to stop; of others a single one."""


def preload() -> multiprocessing.context.ForkServerContext:
    """How processes are made."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


class Step:
    """What has been heard of a step's process."""

    def __init__(self, hear: Callable[[dict[str, Any]], object]) -> None:
        self.hear = hear
        self.names: Sequence[str] = ()
        self.running: str | None = None
        self.ended: set[str] = set()

    def __call__(self, message: dict[str, Any]) -> None:
        """Take a message in, and pass it on."""
        if message["kind"] == "units":
            self.names = message["names"]
        elif message["kind"] == "begin":
            self.running = message["unit"]
        elif message["kind"] == "end":
            self.running = None
            self.ended.add(message["unit"])
        self.hear(message)


def run(task: Task, step: Callable[[dict[str, Any]], object]) -> int | None:
    """Have a process do what is open in a step; its exit status, or None where the clock ended it.

    Args:
        step: is told what the process says.
    """
    context = preload()
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=work, args=(task, sender), name=task.step)
    process.start()
    sender.close()
    try:
        grace = GRACE.get(task.step, 1.0)
        ended = _listen(receiver, step, lambda: task.left - grace)
        if not ended:
            _signal(process, signal.SIGTERM)
            _listen(receiver, step, lambda: task.left)
        process.join(max(0.1, task.left) if ended else 0.1)
        return process.exitcode if ended else None
    finally:
        _signal(process, signal.SIGKILL)
        process.join()


def _listen(receiver: Connection, step: Callable[[dict[str, Any]], object], left: Callable[[], float]) -> bool:
    """Take messages until the process has closed its end (true) or no time is left (false)."""
    while left() > 0:
        if not receiver.poll(left()):
            continue
        try:
            message = receiver.recv()
        except (EOFError, OSError):
            return True
        step(message)
    return False


def _signal(process: ForkServerProcess, number: int) -> None:
    """To ask, the process alone; to kill, all that it has started as well."""
    if process.pid is None:
        return
    with suppress(ProcessLookupError, PermissionError):
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            os.kill(process.pid, number)
