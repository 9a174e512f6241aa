"""The Optuna study of a part of a sweep: filled, claimed from, read.

One mechanism serves one machine and many: trials wait in the study's queue, workers claim them. A point may be claimed
by many and is run by one, because a claim counts only where no other trial has the point. What became of a trial stands
in its state and its user attributes.
"""

from collections.abc import Iterable
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from optuna.trial import FrozenTrial, TrialState

from rim.studies.sweeps.axes import AnyAxis, Listed
from rim.studies.sweeps.outcome import FORMER, VALIDATION
from rim.studies.sweeps.space import Parameters, Part

POINT, WORKER, ASIDE, REASON, PRUNED_AT = "point", "worker", "aside", "reason", "pruned_at"
"""User attributes of a trial: name of its point, who runs it, why it does not count, why it failed, at which update it
was given up."""
SEED = "seed-"
"""Beginning of the user attributes that hold what the seeds of a trial have scored."""
DONE = (TrialState.COMPLETE, TrialState.PRUNED)
RANK = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.WAITING, TrialState.FAIL)
"""Of several trials of one point, which state is the point's."""
WORDS = dict(zip(RANK, ("done", "given up", "under way", "to do", "failed"), strict=True))


class Aside(Exception):
    """A trial that is not to be run: another has its point, or there are enough."""


def distribution(axis: AnyAxis) -> BaseDistribution:
    """An axis as Optuna knows it."""
    if isinstance(axis, Listed):
        return CategoricalDistribution(axis.parameters)
    if axis.whole:
        return IntDistribution(int(axis.low), int(axis.high), axis.log, int(axis.step or 1))
    return FloatDistribution(axis.low, axis.high, axis.log, axis.step)


def _suggested(axis: AnyAxis, trial: optuna.Trial) -> Any:
    """The value of a trial on an axis: what it was queued with, or what the sampler suggests."""
    if isinstance(axis, Listed):
        return trial.suggest_categorical(axis.name, axis.parameters)
    if axis.whole:
        return trial.suggest_int(axis.name, int(axis.low), int(axis.high), step=int(axis.step or 1), log=axis.log)
    return trial.suggest_float(axis.name, axis.low, axis.high, step=axis.step, log=axis.log)


def load_study(part: Part, storage: RDBStorage) -> optuna.Study:
    """The study of a part, for one thread: its sampler and pruner are its own.

    Raises:
        KeyError: there is none.
    """
    sampler: BaseSampler = TPESampler(constant_liar=True) if part.open else RandomSampler()
    pruners: dict[str, type[BasePruner]] = {"median": MedianPruner, "hyperband": HyperbandPruner}
    pruner = pruners[part.sweep.pruner]() if part.pruned else NopPruner()
    return optuna.load_study(study_name=part.study_name, storage=storage, sampler=sampler, pruner=pruner)


def kept(study: optuna.Study) -> list[FrozenTrial]:
    """All trials that count."""
    return [trial for trial in study.get_trials(deepcopy=False) if ASIDE not in trial.user_attrs]


def identity(part: Part, trial: FrozenTrial) -> Any:
    """What several trials of one point share: its name; where points are drawn, the first trial of those retried."""
    if part.open:
        first = RetryHeartbeatStaleTrialCallback.retried_trial_number(trial)
        return trial.number if first is None else first
    return trial.user_attrs.get(POINT)


def parameters(trial: FrozenTrial) -> dict[str, Any]:
    """What a trial has on each axis; of one that waits, what it will have."""
    return trial.params or dict(trial.system_attrs.get("fixed_params", {}))


def records_of(trials: Iterable[FrozenTrial]) -> list[dict[str, Any]]:
    """Finished runs of trials, as `trial.seed_record` made them."""
    found = (value for trial in trials for key, value in trial.user_attrs.items() if key.startswith(SEED))
    return [renamed(record) for record in found]


def renamed(record: dict[str, Any]) -> dict[str, Any]:
    """A record whose validation score has its present name."""
    scores = {VALIDATION if name == FORMER else name: score for name, score in record.get("scores", {}).items()}
    return record | {"scores": scores}


class Found:
    """What the study of a part holds; nothing where there is none.

    `standing` is the trial that stands for each point: the one that got furthest, of equals the last.
    """

    def __init__(self, part: Part, study: optuna.Study | None) -> None:
        self.part, self.study = part, study
        self.standing: dict[Any, FrozenTrial] = {}
        for trial in kept(study) if study is not None else []:
            key = identity(part, trial)
            known = self.standing.get(key)
            if key is not None and (known is None or RANK.index(trial.state) <= RANK.index(known.state)):
                self.standing[key] = trial

    def name(self, key: Any) -> str:
        return str(self.standing[key].user_attrs.get(POINT, f"trial {self.standing[key].number}"))

    def state(self, name: str) -> str:
        states = [self.standing[key].state for key in self.standing if self.name(key) == name]
        return WORDS[min(states, key=RANK.index)] if states else "to do"


def fill(part: Part, study: optuna.Study) -> None:
    """Queue what no trial has, and what has failed.

    Processes that do this at the same moment may queue a point twice; it is run once, because a claim is checked.
    """
    standing = Found(part, study).standing
    queue = {part.name(point): point for point in part.queue}
    for key, trial in standing.items():
        if trial.state == TrialState.FAIL and (part.open or key in queue):
            again(study, trial)
    for name, point in queue.items():
        if name not in standing:
            study.enqueue_trial(dict(point), user_attrs={POINT: name})


def again(study: optuna.Study, trial: FrozenTrial) -> None:
    """Queue the point of a trial that has failed or was stopped, with the seeds that it has finished."""
    RetryHeartbeatStaleTrialCallback()(study, study.trials[trial.number])


def claim(part: Part, study: optuna.Study, trial: optuna.Trial, worker: str) -> Parameters:
    """The point that a trial is to run.

    Raises:
        Aside: the trial did not come from the queue and no point is free, or another trial has its point.
    """
    trial.set_user_attr(WORKER, worker)
    found = {other.number: other for other in kept(study)}
    own = found.pop(trial.number)
    me = identity(part, own)
    if me is None:
        raise Aside("it did not come from the queue")
    before = {identity(part, other) for other in found.values() if other.number < own.number}
    if part.open and me not in before and len(before) >= part.points:
        raise Aside(f"there are {part.points} trials")
    for other in found.values():
        earlier = other.number < own.number and other.state in (TrialState.RUNNING, TrialState.WAITING)
        if identity(part, other) == me and (earlier or other.state in DONE):
            raise Aside(f"trial {other.number} has this point")
    point = {axis.name: _suggested(axis, trial) for axis in part.axes}
    trial.set_user_attr(POINT, part.name(point))
    return point


def outlook(part: Part, study: optuna.Study) -> Literal["work", "wait", "done"]:
    """Whether something can be claimed, or others are at work and may leave something, or neither."""
    trials = kept(study)
    if any(trial.state == TrialState.WAITING for trial in trials):
        return "work"
    if part.open and len({identity(part, trial) for trial in trials}) < part.points:
        return "work"
    return "wait" if any(trial.state == TrialState.RUNNING for trial in trials) else "done"
