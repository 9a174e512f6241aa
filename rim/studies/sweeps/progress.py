"""Lines about trials as they begin and end, with the number of trials begun or ended so far."""

import threading
from collections.abc import Sequence
from typing import Any

from rim.runs.lock import log_of
from rim.studies.sweeps.space import Run


class Lines:
    """Progress of this command, one line per event; trials of other commands do not show."""

    def __init__(self, trials: int, done: int) -> None:
        self.trials, self.begun, self.ended = trials, done, done
        self.lock = threading.Lock()

    def started(self, name: str, runs: Sequence[Run]) -> None:
        seeds = f"{len(runs)} seed{'s' if len(runs) > 1 else ''}"
        with self.lock:
            self.begun += 1
            self._print(self.begun, f"started  {name}: {seeds}; {log_of(runs[0].folder)}")

    def finished(self, name: str, records: Sequence[dict[str, Any]], minutes: float) -> None:
        """A trial has all its scores: means over seeds."""
        scores = {source: [each["scores"][source] for each in records] for source in records[0]["scores"]}
        means = {name: sum(correct / count for correct, count in each) / len(each) for name, each in scores.items()}
        listed = ", ".join(f"{source} {value:.3f}" for source, value in means.items())
        self._ended(f"finished {name}: {listed} ({minutes:.1f} min)")

    def pruned(self, name: str, update: int) -> None:
        self._ended(f"given up {name}: hopeless after update {update}")

    def failed(self, name: str, reason: str) -> None:
        self._ended(f"failed   {name}: {reason.partition(';')[0]}")

    def say(self, text: str) -> None:
        print(text, flush=True)

    def _ended(self, text: str) -> None:
        with self.lock:
            self.ended += 1
            self._print(self.ended, text)

    def _print(self, count: int, text: str) -> None:
        print(f"[{count}/{self.trials}] {text}", flush=True)
