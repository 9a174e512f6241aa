"""A sweep from end to end: its studies, its workers, its report."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.engine import make_url

from rim.runs.children import listening
from rim.studies.sweeps.agreement import agreed, seal
from rim.studies.sweeps.badge import badge
from rim.studies.sweeps.progress import Lines
from rim.studies.sweeps.settings import Sweep
from rim.studies.sweeps.space import Part, machine_for
from rim.studies.sweeps.storage import SweepError, open_storage, shown_address, turn
from rim.studies.sweeps.study import DONE, REASON, Found, fill, load_study
from rim.studies.sweeps.trial import Interrupted
from rim.studies.sweeps.worker import Crew, Worker, take_up

WATCH_SECONDS = 0.1


def plan(parts: Sequence[Part]) -> int:
    """Print what would be trained and how long it would take; make nothing. The exit status: 0, 143 after a signal."""
    from rim.studies.sweeps.estimate import estimate, trial_table  # heavy

    found = look(parts)
    print(trial_table(parts, found), flush=True)
    try:
        with listening() as stop:
            print(f"\n{estimate(parts, found, stop)}")
    except Interrupted:
        return 143
    return 0


def report(parts: Sequence[Part]) -> int:
    """Write tables and figures of what there is.

    Raises:
        SweepError: there is no study yet.
    """
    found = look(parts)
    if all(each.study is None for each in found.values()):
        sweep = parts[-1].sweep
        raise SweepError(
            f"there is no study '{sweep.name}' in {shown_address(sweep.address)} yet: leave out --report to begin it"
        )
    _publish(parts, found)
    return 0


def sweep(parts: Sequence[Part]) -> int:
    """Train what is missing, then report; the exit status: 0, 1 where trials failed, 143 where a signal stopped it.

    Raises:
        UserError: the storage cannot be used, or holds another sweep; nothing has been trained.
    """
    asked = parts[-1].sweep
    storage = _begin(parts)
    stopped = _work(parts, storage, asked)
    found = _found(parts, storage)
    trials = [trial for each in found.values() for trial in each.standing.values()]
    if stopped:
        done = sum(trial.state in DONE for trial in trials)
        total = sum(part.points for part in parts)
        print(f"stopped by a signal: {done} of {total} trials are done; repeat the command to go on", flush=True)
        return 143
    _publish(parts, found)
    failures = _failures(found)
    if failures:
        print("\n" + "\n".join([f"{len(failures)} of {sum(part.points for part in parts)} trials failed:", *failures]))
        print("Repeat the command to try them again; what is done stays.")
    return 1 if failures else 0


def _begin(parts: Sequence[Part]) -> RDBStorage:
    """The storage with a filled study for every part; all are agreed upon before any is filled."""
    asked = parts[-1].sweep
    with turn(asked.path):
        storage = open_storage(asked.address)
        studies = []
        for part in parts:
            _rest(part, storage, asked.path)
            studies.append((part, agreed(part, storage)))
        for part, study in studies:
            fill(part, study)
            seal(part, study)
    return storage


def _rest(part: Part, storage: RDBStorage, folder: Path) -> None:
    """Queue again what a killed command had under way, before its study is looked at."""
    if part.study_name in optuna.get_all_study_names(storage):
        take_up(load_study(part, storage), folder)


def _work(parts: Sequence[Part], storage: RDBStorage, asked: Sweep) -> bool:
    """Let workers drain the studies; whether a signal stopped them."""
    found = _found(parts, storage)
    done = sum(trial.state in DONE for each in found.values() for trial in each.standing.values())
    total = sum(part.points for part in parts)
    machine = machine_for(parts)
    print(f"{done} of {total} trials are done; {machine.jobs} side by side", flush=True)
    until = None if asked.hours is None else time.monotonic() + asked.hours * 3600
    with badge(asked.path) as name, listening() as stop, machine.at_work():
        crew = Crew(parts, storage, name, asked.path, Lines(total, done), stop, machine, until)
        workers = [Worker(crew, place) for place in range(machine.jobs)]
        for worker in workers:
            worker.start()
        while any(worker.thread.is_alive() for worker in workers):
            time.sleep(WATCH_SECONDS)  # signals arrive between two of these
    for worker in workers:
        if worker.error is not None:
            raise worker.error
    return stop.received


def look(parts: Sequence[Part]) -> dict[str, Found]:
    """What the studies hold, without making any."""
    address = make_url(parts[-1].sweep.address)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").exists():
        return {part.folder: Found(part, None) for part in parts}
    storage = open_storage(parts[-1].sweep.address, create=False)
    return _found(parts, storage)


def _found(parts: Sequence[Part], storage: RDBStorage) -> dict[str, Found]:
    names = optuna.get_all_study_names(storage)
    studies = {part.folder: load_study(part, storage) if part.study_name in names else None for part in parts}
    return {part.folder: Found(part, studies[part.folder]) for part in parts}


def _publish(parts: Sequence[Part], found: Mapping[str, Found]) -> None:
    from rim.studies.sweeps.collect import collect  # heavy

    asked = parts[-1].sweep
    result = collect(parts, found)
    if any(point.seeds for point in [*result.points, *result.baselines.values()]):
        from rim.studies.sweeps.publish import publish  # heavy

        print("\n" + publish(result, asked.path, found[""].study))
    print(f"All trials in a browser: optuna-dashboard {shown_address(asked.address)}")


def _failures(found: Mapping[str, Found]) -> list[str]:
    failed = [
        (each.name(key), trial)
        for each in found.values()
        for key, trial in each.standing.items()
        if trial.state == TrialState.FAIL
    ]
    return [f"{name}: {trial.user_attrs.get(REASON, 'its worker ended without a word')}" for name, trial in failed]
