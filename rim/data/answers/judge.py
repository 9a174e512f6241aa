"""Mathematics compared in a process of its own, so that a limit on its time holds in every thread and every process.

math-verify limits itself by an alarm signal: it fails outside the main thread, takes the alarm from whoever else has
set one, and cannot interrupt a computation inside C. A process can always be ended, and brings its own memory limit.
It starts with the first question, is asked one at a time, and is started again after one that it did not survive.
"""

import atexit
import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from threading import Lock

SECONDS = 3.0
"""Processor time for reading and comparing one pair of answers."""

_ROOT = Path(__file__).resolve().parents[2]


class Judge:
    """Asks the process of `equivalence.py`; `undecided` counts the questions that it did not answer.

    Safe to share between threads; a forked process starts its own.
    """

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds, self.undecided = seconds, 0
        self._lock = Lock()
        self._child: subprocess.Popen[str] | None = None
        self._watched = False

    def equal(self, prediction: str, gold: str) -> bool:
        """Whether both are the same mathematics; what takes too long, or too much memory, counts as wrong.

        Raises:
            RuntimeError: the process does not even start.
        """
        with self._lock:
            verdict = self._ask(json.dumps([prediction, gold]) + "\n")
            if verdict not in ("right", "wrong"):
                self.undecided += 1
                logging.getLogger(__name__).warning(
                    "no verdict within %g s on whether %.80r is %.80r: it counts as wrong (%d so far)",
                    *(self.seconds, prediction, gold, self.undecided),
                )
        return verdict == "right"

    def close(self) -> None:
        """End the process; the next question starts another."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.communicate()

    def _ask(self, line: str) -> str:
        """The verdict, or nothing where the process ended over the question."""
        child = self._child or self._start()
        if child.poll() is not None:  # ended by someone else since the last question
            self.close()
            child = self._start()
        assert child.stdin is not None and child.stdout is not None
        try:
            child.stdin.write(line)
            child.stdin.flush()
            verdict = child.stdout.readline().strip()
        except BaseException:  # interrupted: the verdict still to come would be taken for the next one
            self.close()
            raise
        if not verdict:
            self.close()
        return verdict

    def _start(self) -> subprocess.Popen[str]:
        if not self._watched:
            atexit.register(self.close)
            os.register_at_fork(after_in_child=self._forget)
            self._watched = True
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "rim.data.answers.equivalence", str(self.seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for whoever asks
        )
        assert child.stdout is not None and child.stderr is not None
        if child.stdout.readline() != "ready\n":
            _, said = child.communicate()
            raise RuntimeError(f"answers in LaTeX cannot be compared, since the process for it ended:\n{said}")
        child.stderr.close()
        self._child = child
        return child

    def _forget(self) -> None:
        """In a forked process: the other's child is not ours to ask or to wait for."""
        if self._child is not None:
            self._child.returncode = 0
        self._child, self._lock = None, Lock()
