"""Runs of a comparison side by side: each starts when a place is free and what it starts from is done."""

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rim.base.errors import UserError
from rim.runs.children import POLL_SECONDS, Job, Stopped, end, how_it_ended, launch, listening
from rim.runs.lock import locked, log_of
from rim.runs.machine import Machine
from rim.studies.comparison.plan import PlannedRun


@dataclass(frozen=True)
class Failure:
    """A run that did not finish, and why."""

    run: PlannedRun
    reason: str


@dataclass(frozen=True)
class Child:
    """A run under way, at its place of the machine."""

    run: PlannedRun
    process: subprocess.Popen[bytes]
    since: float
    place: int


@dataclass
class Pool:
    """All runs of a comparison: waiting, running, failed; the others are done.

    `job` gives a run's command just before it starts; `finished` is told of (run, minutes).
    """

    waiting: list[PlannedRun]
    machine: Machine
    job: Callable[[PlannedRun], Job]
    started: Callable[[PlannedRun, Job], None]
    finished: Callable[[PlannedRun, float], None]
    running: list[Child] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def work(self) -> list[Failure]:
        """Train until nothing is left.

        Raises:
            Stopped: a signal asked to; a repeated command goes on.
        """
        try:
            with listening() as stop, self.machine.at_work():
                while (self.waiting or self.running) and not stop.received:
                    self._collect()
                    self._fill()
                    time.sleep(POLL_SECONDS)
        finally:
            end(child.process for child in self.running)
        if stop.received:
            raise Stopped
        return self.failures

    def _collect(self) -> None:
        for child in [child for child in self.running if child.process.poll() is not None]:
            self.running.remove(child)
            if child.process.returncode == 0 and child.run.done:
                self.finished(child.run, (time.monotonic() - child.since) / 60)
            else:
                reason = how_it_ended(log_of(child.run.folder), child.process.returncode)
                self.failures.append(Failure(child.run, reason))

    def _fill(self) -> None:
        """Start what can start; one at a time, because finding its command may take a while."""
        lost = {failure.run.folder for failure in self.failures}
        for run in [run for run in self.waiting if run.start in lost]:
            self.waiting.remove(run)
            self.failures.append(Failure(run, f"it starts from {run.start}, which has failed"))
        ready = [run for run in self.waiting if run.start is None or (run.start / "result.json").exists()]
        if ready and len(self.running) < self.machine.jobs:
            self.waiting.remove(ready[0])
            self._start(ready[0])

    def _start(self, run: PlannedRun) -> None:
        try:
            job = self.job(run)
            place = min(set(range(self.machine.jobs)) - {child.place for child in self.running})
            with locked(log_of(run.folder)) as log:
                process = launch(job, log, self.machine.share(place))
        except UserError as error:
            self.failures.append(Failure(run, str(error)))
        else:
            self.running.append(Child(run, process, time.monotonic(), place))
            self.started(run, job)


def check_free(runs: Sequence[PlannedRun]) -> None:
    """Refuse to start beside children of an earlier command that are still at work.

    Raises:
        RunBusy: names the run.
    """
    for run in runs:
        if log_of(run.folder).exists():
            with locked(log_of(run.folder)):
                pass
