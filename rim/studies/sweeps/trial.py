"""One run of a trial: a process of `rim.fit`, watched while it trains, and what it has scored."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from rim.runs.checkpoint import with_present_names
from rim.runs.children import POLL_SECONDS, Job, end, fit_command, how_it_ended, launch
from rim.runs.folder import RESULT, RunFolder
from rim.runs.holder import RunBusy
from rim.runs.lock import locked, log_of
from rim.runs.machine import Share
from rim.runs.signals import StopRequest
from rim.studies.sweeps.outcome import VALIDATION
from rim.studies.sweeps.space import Run


class RunFailed(Exception):
    """A run that ended without a result; the text is the end of its log."""


class Interrupted(Exception):
    """A signal asked to stop; the run has saved and ended."""


def train(run: Run, share: Share, stop: StopRequest, watch: Callable[[], None]) -> float:
    """Train a run, or go on with it; returns the minutes that it took, 0 where it was done.

    Where a process that outlived its worker is still at it, that one is waited for.

    Args:
        share: what it has of the machine.
        watch: called again and again while the run trains; what it raises ends the run, which saves.

    Raises:
        RunFailed: the run ended without a result.
        Interrupted: a signal asked to stop.
    """
    since = time.monotonic()
    with _own_log(run, stop) as log:
        if run.done:
            return 0.0
        process = launch(Job(command(run), run.name), log, share)
    try:
        while process.poll() is None:
            if stop.received:
                raise Interrupted
            watch()
            time.sleep(POLL_SECONDS)
    finally:
        end([process])
    if process.returncode or RunFolder(run.folder).read(RESULT) is None:
        raise RunFailed(how_it_ended(log_of(run.folder), process.returncode))
    return (time.monotonic() - since) / 60


def command(run: Run) -> list[str]:
    return fit_command(run.sweep.base, run.words())


@contextmanager
def _own_log(run: Run, stop: StopRequest) -> Iterator[BinaryIO]:
    """The log of a run, as soon as no process holds it."""
    while True:
        try:
            with locked(log_of(run.folder)) as log:
                yield log
                return
        except RunBusy:
            if stop.received:
                raise Interrupted from None
            time.sleep(POLL_SECONDS)


def seed_record(run: Run, minutes: float) -> dict[str, Any]:
    """A finished run in plain types, for the study: a sweep is reported without its run folders.

    Scores are [correct, count]; `minutes` are those of the process, or of the updates where others have trained it.
    """
    folder = RunFolder(run.folder)
    result, environment = folder.read(RESULT), folder.read("environment.json") or {}
    weights, training = with_present_names(result["weights"]), result["training"]
    tests = {source: folder.read(f"results/{source.replace('/', '-')}.json") for source in result["accuracy"]}
    validation = [weights["validation_correct"], weights["validation_count"]]
    return {
        "seed": run.seed,
        "folder": str(run.folder),
        "scores": {VALIDATION: validation} | {source: _counts(scores["final"]) for source, scores in tests.items()},
        "read_with": {
            source: {blocks: _counts(score) for blocks, score in scores["read_with"].items()}
            for source, scores in tests.items() if scores.get("read_with")
        },
        "rows": {source: scores.get("rows") for source, scores in tests.items()},
        "updates": training["updates"],
        "minutes": round(max(minutes, (training.get("seconds") or 0) / 60), 3),
        "flops": training.get("flops"),
        "environment": {key: environment.get(key) for key in ("git", "hardware", "versions", "threads")},
    }  # fmt: skip


def _counts(score: dict[str, Any]) -> list[int]:
    return [score["correct"], score["count"]]
