"""A worker: a thread that claims one trial after the other and runs its seeds, until nothing is left for anyone."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from rim.base.errors import UserError
from rim.runs.machine import Machine
from rim.runs.signals import StopRequest
from rim.studies.sweeps import storage
from rim.studies.sweeps.liveness import has_died
from rim.studies.sweeps.progress import Lines
from rim.studies.sweeps.space import Parameters, Part, Run
from rim.studies.sweeps.study import (
    ASIDE,
    POINT,
    PRUNED_AT,
    REASON,
    SEED,
    WORKER,
    Aside,
    again,
    claim,
    load_study,
    outlook,
    renamed,
)  # fmt: skip
from rim.studies.sweeps.trial import Interrupted, RunFailed, seed_record, train

IDLE_SECONDS = 1.0
"""Between two looks at a study whose last trials are under way."""


@dataclass(frozen=True)
class Crew:
    """What the workers of a command share.

    `until` is the time (`time.monotonic`) after which no trial begins; None: no limit.
    """

    parts: Sequence[Part]
    storage: RDBStorage
    name: str
    folder: Path
    lines: Lines
    stop: StopRequest
    machine: Machine
    until: float | None

    @property
    def late(self) -> bool:
        return self.stop.received or (self.until is not None and time.monotonic() > self.until)


def work(crew: Crew, place: int) -> None:
    """Claim and run until every part is done, time is up or a signal arrived; an error ends the other workers, too."""
    try:
        studies = [(part, load_study(part, crew.storage)) for part in crew.parts]
        while not crew.late:
            for _, study in studies:
                take_up(study, crew.folder)
            views = [outlook(part, study) for part, study in studies]
            if "work" in views:
                Trial(crew, *studies[views.index("work")], place).run()
            elif "wait" in views:
                time.sleep(IDLE_SECONDS)
            else:
                return
    except BaseException:
        crew.stop.received = True  # the others save and leave, and the command shows what happened
        raise


def take_up(study: optuna.Study, folder: Path) -> None:
    """Queue again what killed workers had: of this machine at once, of others after their heartbeats' grace.

    A worker that is killed between claiming a trial and signing it has no heartbeat either: its grace counts, too.
    """
    optuna.storages.fail_stale_trials(study)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        worker = trial.user_attrs.get(WORKER)
        age = datetime.now() - (trial.datetime_start or datetime.now())
        if has_died(folder, worker) if worker else age.total_seconds() > storage.GRACE_SECONDS:
            with suppress(ValueError, UpdateFinishedTrialError):  # another was faster
                study.tell(trial.number, state=TrialState.FAIL)
                again(study, trial)


class Trial:
    """One trial of a worker, from its claim to its state."""

    def __init__(self, crew: Crew, part: Part, study: optuna.Study, place: int) -> None:
        self.crew, self.part, self.study, self.place = crew, part, study, place
        self.number: int | None = None
        self.stopped = self.crashed = False

    def run(self) -> None:
        try:
            self.study.optimize(self.objective, n_trials=1, catch=(Aside, RunFailed, UserError, Interrupted))
        except (ValueError, UpdateFinishedTrialError):
            if self.crashed or self.number is None:
                raise
            self.crew.lines.say(f"trial {self.number} is another worker's now: its heartbeats did not reach the study")
        if self.stopped and self.number is not None:
            again(self.study, self.study.trials[self.number])

    def objective(self, trial: optuna.Trial) -> float:
        """The mean score over seeds."""
        self.number = trial.number
        self.crew.storage.record_heartbeat(trial._trial_id)  # before it is signed: Optuna's own comes a little later
        try:
            return self._seeds(trial, claim(self.part, self.study, trial, self.crew.name))
        except Aside as reason:
            trial.set_user_attr(ASIDE, str(reason))
            raise
        except Interrupted:
            self.stopped = True
            raise
        except (RunFailed, UserError) as reason:
            trial.set_user_attr(REASON, str(reason))
            self.crew.lines.failed(trial.user_attrs[POINT], str(reason))
            raise
        except (optuna.TrialPruned, UpdateFinishedTrialError):
            raise
        except Exception:
            self.crashed = True
            raise

    def _seeds(self, trial: optuna.Trial, point: Parameters) -> float:
        name, runs, since = self.part.name(point), self.part.runs(point), time.monotonic()
        self.crew.lines.started(name, runs)
        records = [self._seed(trial, name, run, first=run is runs[0]) for run in runs]
        self.crew.lines.finished(name, records, (time.monotonic() - since) / 60)
        scores = [record["scores"][self.part.sweep.metric] for record in records]
        return fmean(correct / count for correct, count in scores)

    def _seed(self, trial: optuna.Trial, name: str, run: Run, first: bool) -> dict[str, Any]:
        known: dict[str, Any] | None = trial.user_attrs.get(f"{SEED}{run.seed}")
        if known is not None:
            return renamed(known)
        judge = Judge(trial, run, self.crew.lines, name) if first and self.part.pruned else None
        minutes = train(run, self.crew.machine.share(self.place), self.crew.stop, judge or (lambda: None))
        if judge is not None:
            deque(judge.report(), maxlen=0)  # what came between the last look and the end
        record = seed_record(run, minutes)
        trial.set_user_attr(f"{SEED}{run.seed}", record)
        return record


class Judge:
    """Reports validation accuracies to the study as a run's curve grows; ends the trial where its pruner says so."""

    def __init__(self, trial: optuna.Trial, run: Run, lines: Lines, name: str) -> None:
        self.trial, self.lines, self.name = trial, lines, name
        self.curve = run.folder / "curve.jsonl"
        self.size = self.seen = 0

    def __call__(self) -> None:
        """Look at the curve.

        Raises:
            TrialPruned: the pruner has no hope.
        """
        for update in self.report():
            if self.trial.should_prune():
                self.trial.set_user_attr(PRUNED_AT, update)
                self.lines.pruned(self.name, update)
                raise optuna.TrialPruned(f"at update {update}")

    def report(self) -> Iterator[int]:
        """Tell the study of new validations, one after the other: others are judged by them, too."""
        from rim.training.logs import read_curve  # heavy, and needed where something is given up only

        size = self.curve.stat().st_size if self.curve.exists() else 0
        if size == self.size:
            return
        self.size = size
        for record in read_curve(self.curve):
            if "accuracy" in record and record["update"] > self.seen:
                self.seen = record["update"]
                self.trial.report(record["accuracy"], self.seen)
                yield self.seen
