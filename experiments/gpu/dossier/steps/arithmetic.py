"""One real piece of training: a model of GPT-2's shape from scratch on arithmetic, by RiM, direct answers and CoT.

All three get the same number of updates: as many as RiM, whose updates cost most, can do in a third of the time. A run
that the clock ends goes on in the next call, where its folder is still there.
"""

import shutil
from collections.abc import Iterator
from functools import partial
from typing import Any

from dossier.report import Finding, Report, Result, Stopped, Task
from dossier.sizes import Size, size_of
from dossier.updates import Subject, timed_updates
from rim.report.proportion import Proportion
from rim.runs.folder import RunFolder
from rim.settings import Config
from rim.settings.load import load
from rim.training.logs import CURVE, read_curve
from rim.training.prepared import Prepared
from rim.training.run import fit, prepare_run

METHODS = {"rim": "memory_blocks", "direct": "direct", "cot": "cot"}
SOURCE = "arithmetic/test"
OVERHEAD = 15.0
"""Seconds of a run besides its updates: data, weights, validation, saving, counting operations, scores."""
LEAST = 4
"""Updates of a run at least: it has two stages, each with a validation."""
MARGIN = 0.8
"""Share of what is left that updates may take."""
TIMED = 20_000
"""Updates of the run whose first ones are timed."""
PLAN, STOPPED = "plan", 143


def run(report: Report) -> None:
    """How many updates, then run by run."""
    size, names = size_of(report.task), {f"from scratch: {name}": name for name in METHODS}
    report.names([PLAN, *names])
    found = dict(report.task.done)
    report.unit(PLAN, partial(_planned, report.task, size, found))
    for unit, name in names.items():
        if PLAN in found:
            report.unit(unit, partial(_trained, report.task, size, name, found[PLAN]["updates"]), needs=OVERHEAD)


def settings(task: Task, size: Size, name: str, updates: int, run: str) -> Config:
    """The run of conf/arithmetic.yaml in GPT-2's shape."""
    own = (
        *(f"run.folder={task.work}", f"run.name={run}", f"data.cache={task.work / 'cache'}"),
        *(f"data.test=[{SOURCE}]", "data.test_rows=200", "data.validation_rows=128", f"method.name={METHODS[name]}"),
        *(f"training.duration={updates} steps", "training.validate_every=50%", "training.save_every=100%"),
    )
    return load(["conf/arithmetic.yaml"], [*own, *size.arithmetic])


def _planned(task: Task, size: Size, found: dict[str, dict[str, Any]]) -> Result:
    """Updates of each run, from the time that RiM's take in both stages."""
    config = settings(task, size, "rim", TIMED, "arithmetic-timed")
    shutil.rmtree(task.work / config.run.name, ignore_errors=True)
    prepared = prepare_run(config)
    prepared.backbone.to(task.device)
    seconds = 0.0
    for stage in prepared.plan.stages:
        middle = stage.first + stage.length // 2
        timed = timed_updates(_subject(prepared), middle, size.least_updates, size.update_seconds / 4)
        seconds += timed.each * stage.length / prepared.plan.length
    room = MARGIN * (task.left - len(METHODS) * OVERHEAD) / len(METHODS)
    updates = int(min(size.most_updates, max(LEAST, room / seconds)))
    found[PLAN] = {"updates": updates, "seconds": seconds}
    return Result(
        [Finding("an update of RiM", 1e3 * seconds, "ms"), Finding("updates of each run", updates)], found[PLAN]
    )


def _subject(prepared: Prepared) -> Subject:
    return Subject(
        prepared.config,
        prepared.backbone,
        prepared.method,
        prepared.splits,
        prepared.plan,
        prepared.folder.path / "timed",
    )


def _trained(task: Task, size: Size, name: str, updates: int) -> Result:
    """A run from its beginning, or from where it stopped.

    Raises:
        Stopped: the clock ended it.
    """
    config = settings(task, size, name, updates, f"arithmetic-{name}-{updates}")
    status = fit(config)
    folder = RunFolder(task.work / config.run.name)
    curve = read_curve(folder.path / CURVE)
    if status == STOPPED:
        raise Stopped(Result([*_course(curve)], {"curve": curve}))
    score = folder.read(f"results/{SOURCE.replace('/', '-')}.json")
    training = folder.read("result.json")["training"]
    return Result(
        [*_score(score), *_course(curve), *_cost(training)], {"curve": curve, "score": score, "training": training}
    )


def _score(score: dict[str, Any]) -> Iterator[Finding]:
    """Of the test set, and the controls on the same examples."""
    final = Proportion(score["final"]["correct"], score["final"]["count"])
    low, high = final.interval()
    yield Finding("test accuracy", f"{final.value:.3f} ({low:.3f} to {high:.3f}) of {final.count:,}")
    for name, control in score["controls"].items():
        yield Finding(f"test accuracy, blocks {name}", control["final"]["accuracy"])


def _course(curve: list[dict[str, Any]]) -> Iterator[Finding]:
    """Where the curve stands."""
    losses = [record for record in curve if "loss" in record]
    for record in losses[:1] + losses[-1:]:
        yield Finding(f"loss at update {record['update']:,} ({record['stage']})", record["loss"])
    for record in curve:
        if "accuracy" in record:
            yield Finding(f"validation accuracy at update {record['update']:,} ({record['stage']})", record["accuracy"])


def _cost(training: dict[str, Any]) -> Iterator[Finding]:
    yield Finding("examples per second", training["examples_per_second"] or 0.0)
    yield Finding(
        "training FLOPs per second of updates", training["flops"] / training["seconds"] if training["seconds"] else 0.0
    )
