"""What a study was made for, and whether the sweep that is asked for is the same one.

Other axes, seeds or settings would mix runs that do not compare, so they are refused where trials have begun. A grid
may gain values: Optuna keeps the choices of an axis with every trial, so the trials move to a study with the new ones.
"""

import time
from collections.abc import Iterator
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from rim.settings import Config
from rim.settings.load import differences, to_yaml
from rim.settings.merge import Merge
from rim.settings.resuming import FREE, path_of
from rim.settings.schema import shown
from rim.studies.sweeps.axes import AnyAxis, Listed
from rim.studies.sweeps.outcome import FORMER, VALIDATION
from rim.studies.sweeps.space import Part
from rim.studies.sweeps.storage import SweepError, shown_address
from rim.studies.sweeps.study import distribution, kept, load_study

ABOUT, WHOLE = "sweep", "whole"
"""User attributes of a study: what it was made for; that all trials have been copied into it."""
FILLING_SECONDS = 20
"""How long another machine may take to fill a study; two that fill it queue points twice, which are then put aside."""
SCALARS = ("seeds", "metric", "sampler", "pruner")
"""Settings of the sweep that stay as they are; more trials, hours, jobs and baselines are welcome."""


def agreed(part: Part, storage: RDBStorage) -> optuna.Study:
    """The study of a part: made where there is none, and made anew where no trial of it has begun.

    Raises:
        SweepError: it holds trials of another sweep; names each difference.
    """
    _settle(part, storage)
    made = _make(part, storage)
    study = load_study(part, storage)
    known = study.user_attrs.get(ABOUT) if made or part.sweep.storage is None else _sealed(study)
    changed = [f"{part.study_name} is no sweep's study"] if known is None else list(_changes(known, part))
    begun = any(trial.state != TrialState.WAITING for trial in kept(study))
    if changed and begun:
        raise SweepError(_refusal(part, changed))
    if changed and known is not None:
        optuna.delete_study(study_name=part.study_name, storage=storage)
        return agreed(part, storage)
    if known is not None and known["axes"] != about(part)["axes"]:
        _extend(part, storage, study)
    return load_study(part, storage)


def seal(part: Part, study: optuna.Study) -> None:
    """Write into a filled study what it was made for."""
    study.set_user_attr(ABOUT, about(part))


def _make(part: Part, storage: RDBStorage) -> bool:
    """Make the study; False: there is one, and of several processes that try at once one makes it."""
    try:
        optuna.create_study(study_name=part.study_name, storage=storage, direction="maximize")
    except optuna.exceptions.DuplicatedStudyError:
        return False
    return True


def _sealed(study: optuna.Study) -> dict[str, Any] | None:
    """What a study was made for, once another machine that has just made it has filled it; None: it never was."""
    until = time.monotonic() + FILLING_SECONDS
    while ABOUT not in study.user_attrs and time.monotonic() < until:
        time.sleep(0.2)
    return study.user_attrs.get(ABOUT)


def about(part: Part) -> dict[str, Any]:
    """A part in plain types: axes, seeds, and all settings of one of its points."""
    point = {axis.name: axis.corners()[0] for axis in part.axes}
    axes = [[axis.name, axis.record()] for axis in part.axes]
    facts = {name: getattr(part.sweep, name) for name in SCALARS}
    settings = to_yaml(part.runs(point)[0].config())
    return {"axes": axes, **facts, "point": point, "settings": settings}


def _changes(known: dict[str, Any], part: Part) -> Iterator[str]:
    """What differs between a study and what is asked for; nothing where a grid has only gained values."""
    before, now = dict(known["axes"]), {axis.name: axis for axis in part.axes}
    for name in SCALARS:
        old = VALIDATION if known[name] == FORMER else known[name]
        if old != getattr(part.sweep, name):
            yield f"{name}: {shown(old)} -> {shown(getattr(part.sweep, name))}"
    if [*before] != [*now]:
        yield f"axes: {', '.join(before)} -> {', '.join(now)}"
        return
    changed = [line for name, axis in now.items() for line in _axis_changes(part, axis, before[name])]
    yield from changed or _settings(known, part)


def _axis_changes(part: Part, axis: AnyAxis, before: dict[str, Any]) -> Iterator[str]:
    now = axis.record()
    for key in {**before, **now}:
        old, new = (shown(side[key]) if key in side else "(absent)" for side in (before, now))
        gained = key not in before and isinstance(axis, Listed) and "low" not in before and not part.open
        if old != new and not gained:
            yield f"{axis.name}, {key}: {old} -> {new}"


def _settings(known: dict[str, Any], part: Part) -> Iterator[str]:
    """Settings that differ at the point whose settings the study remembers."""
    merge = Merge()
    merge.place("", Config, OmegaConf.to_container(OmegaConf.create(known["settings"])), part.study_name)
    now = part.runs(known["point"])[0].config()
    changed = differences(merge.finish(), now)
    yield from (line for line in changed if not line.startswith("run.") and path_of(line) not in FREE)


def _refusal(part: Part, changed: list[str]) -> str:
    address = part.sweep.address
    return (
        f"{shown_address(address)} holds trials of another sweep '{part.study_name}': {'; '.join(changed)}. Choose "
        "another name, or go back to what it was (a grid may gain values), or remove the study and the runs in "
        f"{part.sweep.path}"
    )


def _spare(part: Part) -> str:
    return f"{part.study_name} (gains values)"


def _extend(part: Part, storage: RDBStorage, study: optuna.Study) -> None:
    """Move the trials to a study with the choices of now.

    They are copied to a spare study first, so that a kill at any moment loses none: `_settle` goes on from there.

    Raises:
        SweepError: trials are under way, whose workers would lose their study.
    """
    if any(trial.state == TrialState.RUNNING for trial in kept(study)):
        raise SweepError(
            f"'{part.study_name}' has trials under way, and gains values only while it rests: wait for the workers, or "
            "stop them with Ctrl-C, then repeat the command"
        )
    _copy(part, storage, part.study_name, _spare(part))
    _settle(part, storage)


def _settle(part: Part, storage: RDBStorage) -> None:
    """Finish what a killed command may have left: a spare study is the study if it is whole, and nothing otherwise."""
    names = optuna.get_all_study_names(storage)
    if _spare(part) not in names:
        return
    if WHOLE in optuna.load_study(study_name=_spare(part), storage=storage).user_attrs:
        if part.study_name in names:
            optuna.delete_study(study_name=part.study_name, storage=storage)
        _copy(part, storage, _spare(part), part.study_name)
    optuna.delete_study(study_name=_spare(part), storage=storage)


def _copy(part: Part, storage: RDBStorage, source: str, target: str) -> None:
    kinds = {axis.name: distribution(axis) for axis in part.axes}
    old = optuna.load_study(study_name=source, storage=storage)
    new = optuna.create_study(study_name=target, storage=storage, direction="maximize")
    for trial in old.get_trials():
        trial.distributions = {name: kinds[name] for name in trial.params}
        new.add_trial(trial)
    for name, value in old.user_attrs.items():
        new.set_user_attr(name, value)
    new.set_user_attr(WHOLE, True)
