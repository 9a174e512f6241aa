"""What a sweep would train and how long that would take, without making its study."""

import math
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from rim.report.tables import table
from rim.runs.folder import DATA, RunFolder
from rim.runs.lock import log_of
from rim.runs.machine import Share
from rim.runs.signals import StopRequest
from rim.studies.sweeps.space import Part, Run, machine_for, spread
from rim.studies.sweeps.study import DONE, Found, records_of
from rim.studies.sweeps.trial import RunFailed, train
from rim.training.logs import read_curve
from rim.training.plan import make_plan

MOST_POINTS = 6
WARM, TIMED = 2, 5
"""Updates before the clock counts, and updates that it counts."""
PATIENCE_SECONDS = 120
"""Longest time for one point."""
LEFT_OUT = (
    "Left out: start-up, validation, saving, scoring, later stages where they cost more than the first, and how much "
    "runs side by side slow each other down."
)


class _Enough(Exception):
    """All updates that are wanted have been timed."""


def trial_table(parts: Sequence[Part], found: Mapping[str, Found]) -> str:
    """Every trial with its seeds and state, as Markdown."""
    rows: list[tuple[str, ...]] = []
    for part in parts:
        trials = found[part.folder]
        seeds = ", ".join(map(str, part.sweep.seeds))
        names = [part.name(point) for point in part.queue] or [trials.name(key) for key in trials.standing]
        rows += [(name, seeds, trials.state(name)) for name in names]
        if part.open and part.points > len(names):
            rows.append((f"{part.points - len(names)} that TPE will suggest", seeds, "to do"))
    return table(rows, ("point", "seeds", "state"))


def estimate(parts: Sequence[Part], found: Mapping[str, Found], stop: StopRequest) -> str:
    """The time that remains, in a sentence or two: by finished runs, else by timing a few updates.

    Raises:
        Interrupted: a signal asked to stop; what was being timed has ended.
    """
    runs = sum(_remaining(part, found[part.folder]) for part in parts)
    if not runs:
        return "Estimated time: none, all trials are done."
    machine = machine_for(parts)
    jobs = machine.jobs
    minutes = [record["minutes"] for part in parts for record in records_of(found[part.folder].standing.values())]
    if minutes:
        return (
            f"Estimated time: about {_words(fmean(minutes) * runs / jobs)} for {runs} runs of "
            f"{_words(fmean(minutes))}, the mean of {len(minutes)} finished ones, {jobs} side by side."
        )
    chosen = spread([run for part in parts for run in _pending(part, found[part.folder])], MOST_POINTS)
    timed, problems = _timed(chosen, machine.share(0), stop)
    if not timed:
        return "\n".join(["Estimated time: not known, because no run could be timed.", *problems])
    each = fmean(timed)
    return "\n".join(
        [
            f"Estimated time: about {_words(each * runs / jobs)} for {runs} runs of {_words(each)} in the mean, {jobs} "
            f"side by side, by timing {TIMED} updates after {WARM} to warm up of {len(timed)} points.",
            LEFT_OUT,
            *problems,
        ]
    )


def _remaining(part: Part, found: Found) -> int:
    ended = [trial for trial in found.standing.values() if trial.state in DONE]
    begun = [trial for trial in found.standing.values() if trial.state not in DONE]
    return max(0, (part.points - len(ended)) * len(part.sweep.seeds) - len(records_of(begun)))


def _pending(part: Part, found: Found) -> list[Run]:
    """The first run of every known point that is not done; where TPE draws, of the corners of its space."""
    points = part.queue or part.corners()
    return [part.runs(point)[0] for point in points if found.state(part.name(point)) not in ("done", "given up")]


def _timed(runs: Sequence[Run], share: Share, stop: StopRequest) -> tuple[list[float], list[str]]:
    """Minutes of the runs that could be timed, and why others could not."""
    minutes: list[float] = []
    failed: dict[str, list[str]] = {}
    for number, run in enumerate(runs, start=1):
        print(
            f"timing point {number} of {len(runs)}, {PATIENCE_SECONDS} s at most: {run.name}",
            file=sys.stderr,
            flush=True,
        )
        try:
            minutes.append(time_run(run, share, stop))
        except RunFailed as error:
            failed.setdefault(str(error), []).append(run.name)
    return minutes, [f"{', '.join(names)} could not be timed: {reason}" for reason, names in failed.items()]


def time_run(run: Run, share: Share, stop: StopRequest) -> float:
    """Minutes of a run, by a few updates in a folder that is removed afterwards.

    Raises:
        RunFailed: it did not come so far; the text is the end of its log.
        Interrupted: a signal asked to stop.
    """
    overrides = (*run.overrides, "training.log_every=1")
    until = time.monotonic() + PATIENCE_SECONDS
    with tempfile.TemporaryDirectory(prefix="rim-timing-", ignore_cleanup_errors=True) as folder:
        trial = replace(run, sweep=replace(run.sweep, folder=folder, name="timing"), name="run", overrides=overrides)

        def watch() -> None:
            if len(_speeds(trial.folder)) >= WARM + TIMED or time.monotonic() > until:
                raise _Enough

        try:
            with suppress(_Enough):
                train(trial, share, stop, watch)
            return _minutes(trial)
        except RunFailed as error:  # the log is gone with the folder
            raise RunFailed(str(error).replace(str(log_of(trial.folder)), "its log")) from None


def _minutes(run: Run) -> float:
    config, speeds = run.config(), _speeds(run.folder)[WARM:]
    if not speeds or not all(speeds):
        raise RunFailed(f"fewer than {WARM + 1} updates in {PATIENCE_SECONDS} seconds")
    plan = make_plan(config.stages, config.training, RunFolder(run.folder).read(DATA)[0]["kept"])
    return fmean(config.training.batch_size / speed for speed in speeds) * plan.length / 60


def _speeds(folder: Path) -> list[float]:
    """Examples per second of every update so far."""
    records = read_curve(folder / "curve.jsonl")
    return [record["examples_per_second"] for record in records if "examples_per_second" in record]


def _words(minutes: float) -> str:
    if minutes < 1:
        return f"{max(1, math.ceil(minutes * 60))} s"
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
