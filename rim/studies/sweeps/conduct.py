"""A sweep from end to end: its studies, its workers, its report."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import optuna
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.engine import make_url

from rim.runs.children import listening
from rim.studies.sweeps.agreement import agreed, seal
from rim.studies.sweeps.liveness import registered
from rim.studies.sweeps.progress import Lines
from rim.studies.sweeps.settings import Sweep
from rim.studies.sweeps.space import Part, machine_for
from rim.studies.sweeps.storage import SweepError, open_storage, shown_address, turn
from rim.studies.sweeps.study import DONE, REASON, Found, fill, load_study
from rim.studies.sweeps.trial import Interrupted
from rim.studies.sweeps.worker import Crew, take_up, work


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
    total = sum(part.points for part in parts)
    if stopped:
        print(
            f"stopped by a signal: {_done(found)} of {total} trials are done; repeat the command to go on", flush=True
        )
        return 143
    _publish(parts, found)
    failures = _failures(found)
    if failures:
        print("\n" + "\n".join([f"{len(failures)} of {total} trials failed:", *failures]))
        print("Repeat the command to try them again; what is done stays.")
    return 1 if failures else 0


def _begin(parts: Sequence[Part]) -> RDBStorage:
    """The storage with a filled study for every part; all are agreed upon before any is filled."""
    asked = parts[-1].sweep
    with turn(asked.path):
        storage = open_storage(asked.address)
        for found in _found(parts, storage).values():
            if found.study is not None:  # a killed command may have had something under way
                take_up(found.study, asked.path)
        studies = [(part, agreed(part, storage)) for part in parts]
        for part, study in studies:
            fill(part, study)
            seal(part, study)
    return storage


def _work(parts: Sequence[Part], storage: RDBStorage, asked: Sweep) -> bool:
    """Let workers drain the studies; whether a signal stopped them."""
    done, total = _done(_found(parts, storage)), sum(part.points for part in parts)
    machine = machine_for(parts)
    print(f"{done} of {total} trials are done; {machine.jobs} side by side", flush=True)
    until = None if asked.hours is None else time.monotonic() + asked.hours * 3600
    with registered(asked.path) as name, listening() as stop, machine.at_work():
        crew = Crew(parts, storage, name, asked.path, Lines(total, done), stop, machine, until)
        with ThreadPoolExecutor(machine.jobs) as pool:  # it is waited for; signals arrive meanwhile
            workers = [pool.submit(work, crew, place) for place in range(machine.jobs)]
    for worker in workers:
        worker.result()
    return stop.received


def _done(found: Mapping[str, Found]) -> int:
    return sum(trial.state in DONE for each in found.values() for trial in each.standing.values())


def look(parts: Sequence[Part]) -> dict[str, Found]:
    """What the studies hold, without making any."""
    address = make_url(parts[-1].sweep.address)
    if address.get_backend_name() == "sqlite" and not Path(address.database or "").exists():
        return {part.folder: Found(part, None) for part in parts}
    return _found(parts, open_storage(parts[-1].sweep.address, create=False))


def _found(parts: Sequence[Part], storage: RDBStorage) -> dict[str, Found]:
    names = optuna.get_all_study_names(storage)
    return {part.folder: Found(part, load_study(part, storage) if part.study_name in names else None) for part in parts}


def _publish(parts: Sequence[Part], found: Mapping[str, Found]) -> None:
    from rim.studies.sweeps.collect import collect  # heavy

    asked = parts[-1].sweep
    result = collect(parts, found)
    if any(point.seeds for point in [*result.points, *result.baselines.values()]):
        from rim.studies.sweeps.publish import publish  # heavy

        print("\n" + publish(result, asked.path, found[""].study))
    print(f"All trials in a browser: optuna-dashboard {shown_address(asked.address)}")


def _failures(found: Mapping[str, Found]) -> list[str]:
    return [
        f"{each.name(key)}: {trial.user_attrs.get(REASON, 'its worker ended without a word')}"
        for each in found.values()
        for key, trial in each.standing.items()
        if trial.state == TrialState.FAIL
    ]
