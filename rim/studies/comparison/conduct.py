"""A comparison from end to end: of runs that exist, or of runs that are trained for it."""

import itertools
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rim.base.errors import UserError, did_you_mean
from rim.base.quiet import quiet_libraries
from rim.evaluation.latency import latency_of_run
from rim.runs.children import Stopped
from rim.runs.environment import use_threads
from rim.runs.folder import RunFolder
from rim.studies.comparison.budget import PLAN, Ledger
from rim.studies.comparison.collect import FinishedRun, by_entry, collect, latency_run
from rim.studies.comparison.grouping import collect_named
from rim.studies.comparison.plan import PlannedRun, check_plan, distinct, plan_runs
from rim.studies.comparison.publish import publish
from rim.studies.comparison.sameness import ComparisonError, common_decode, older_controls
from rim.studies.comparison.settings import Comparison
from rim.studies.comparison.training import failure_report, plan_table, train


def compare_planned(comparison: Comparison, dry_run: bool) -> int:
    """Train what is missing, then compare; the exit status: 0, 1 where runs failed, 143 where a signal stopped it.

    Raises:
        UserError: the comparison contradicts itself or what lies in its folder; nothing has been trained.
    """
    quiet_libraries()
    runs = plan_runs(comparison)
    ledger = Ledger(comparison.path / PLAN)
    check_plan(comparison, runs)
    once = distinct(runs)
    if dry_run:
        print(plan_table(once, ledger))
        return 0
    try:
        failures = train(comparison, once, ledger)
    except Stopped:
        done = sum(run.done for run in once)
        print(f"stopped by a signal: {done} of {len(once)} runs are done; repeat the command to go on", flush=True)
        return 143
    _publish_planned(comparison, runs)
    if failures:
        print(f"\n{failure_report(failures, len(once))}")
    return 1 if failures else 0


def _publish_planned(comparison: Comparison, runs: Sequence[PlannedRun]) -> None:
    """Budgets and entries in their order, whatever the order of training."""
    budgets, entries = comparison.budgets, comparison.entries
    done = [run for run in runs if run.done]
    done.sort(key=lambda run: (budgets.index(run.budget), entries.index(run.entry)))
    if not done:
        return
    missing = [run.name for run in distinct(runs) if not run.done]
    notes = [f"Not finished, and not in these numbers: {', '.join(missing)}."] if missing else []
    finished = [collect(run.folder, run.budget.name, run.entry.name) for run in done]
    _finish(comparison.name, comparison.path, finished, comparison.reference_entry, notes)


def compare_named(folders: Sequence[Path], out: Path | None, reference: str | None, transfer: bool = False) -> Path:
    """Compare finished runs; the folder that the tables went to.

    Args:
        out: where the tables go; None: `comparison` in the folder that the runs share, or the next free
            `comparison-2`, ... where that holds a comparison of other runs.
        reference: name of an entry; None: the first.
        transfer: whether checkpoints may have been chosen on different data.

    Raises:
        UserError: a folder is no finished run, runs do not stand side by side, or there is no such entry.
    """
    quiet_libraries()
    runs = collect_named(folders, transfer)
    names = list(dict.fromkeys(run.entry for run in runs))
    reference = reference or names[0]
    if reference not in names:
        hint = did_you_mean(reference, names)
        raise ComparisonError(f"--reference {reference}: there is no such entry{hint}; there are {', '.join(names)}")
    runs.sort(key=lambda run: (names.index(run.entry), run.seed))
    out = out or _free_folder(runs)
    _finish(out.name, out, runs, reference, [])
    return out


def _free_folder(runs: Sequence[FinishedRun]) -> Path:
    """Where the same runs were compared before, else the first free name."""
    shared = _shared([run.folder.parent for run in runs])
    names = itertools.chain(["comparison"], (f"comparison-{number}" for number in itertools.count(2)))
    return next(shared / name for name in names if _is_free(shared / name, runs))


def _is_free(folder: Path, runs: Sequence[FinishedRun]) -> bool:
    known = RunFolder(folder).read("results.json")
    if known is None:
        return not folder.exists()
    members = sorted((run["name"], run["seed"]) for run in known["runs"])
    return members == sorted((run.config.run.name, run.seed) for run in runs)


def _finish(name: str, folder: Path, runs: Sequence[FinishedRun], reference: str, notes: Sequence[str]) -> None:
    timed, problems = _with_latency(runs)
    edits = {str(run.folder): run.edit for run in runs if run.edit is not None}
    print("\n" + publish(name, folder, timed, reference, [*notes, *older_controls(edits), *problems]))
    shared = _shared([folder, *(run.folder for run in runs)])
    print(f"The comparison beside the curves of its runs: tensorboard --logdir {shared}")


def _shared(paths: Sequence[Path]) -> Path:
    """The folder that all of these lie in; seen from here where it lies below."""
    shared = Path(os.path.commonpath([path.resolve() for path in paths]))
    return shared.relative_to(Path.cwd()) if shared.is_relative_to(Path.cwd()) else shared


def _with_latency(runs: Sequence[FinishedRun]) -> tuple[list[FinishedRun], list[str]]:
    """Latency of one run of every entry, one after the other; and what could not be measured, or not its way."""
    chosen = [latency_run(members) for members in by_entry(runs).values()]
    decode, problems = common_decode({run.entry: run.config.evaluation.decode for run in chosen})
    timed = {}
    for run in chosen:
        use_threads(run.config.training.threads)
        try:
            timed[run.folder] = latency_of_run(RunFolder(run.folder), decode=decode)
        except UserError as error:
            problems.append(f"No latency of {run.entry}: {error}")
    return [replace(run, latency=timed.get(run.folder, {})) for run in runs], problems
