"""Train what a comparison still lacks, with a line when a run starts and when it has finished."""

from collections.abc import Sequence

from rim.report.tables import table
from rim.runs.children import Job, fit_command
from rim.runs.folder import RunFolder
from rim.runs.lock import log_of
from rim.runs.machine import Machine
from rim.studies.comparison.budget import Ledger
from rim.studies.comparison.children import Failure, Pool, check_free
from rim.studies.comparison.plan import FINE, PlannedRun, check_folder
from rim.studies.comparison.settings import Comparison


def train(comparison: Comparison, runs: Sequence[PlannedRun], ledger: Ledger) -> list[Failure]:
    """Train all runs that are not done; those that failed come back, and do not stop the others.

    Raises:
        RunBusy: a run is under way in another process.
        Stopped: a signal asked to.
    """
    waiting = [run for run in runs if not run.done]
    check_free(waiting)
    machine = Machine(comparison.jobs, [run.config(FINE).training for run in runs])
    print(f"{len(runs) - len(waiting)} of {len(runs)} runs are done; {machine.jobs} side by side", flush=True)
    lines = _Lines(len(runs), len(runs) - len(waiting))
    return Pool(waiting, machine, lambda run: make_job(run, ledger), lines.started, lines.finished).work()


class _Lines:
    """Progress, one line per event, with the number of runs started or finished so far."""

    def __init__(self, runs: int, done: int) -> None:
        self.runs, self.begun, self.done = runs, done, done

    def started(self, run: PlannedRun, job: Job) -> None:
        self.begun += 1
        self._print(self.begun, f"started  {run.name}: {job.description}; {log_of(run.folder)}")

    def finished(self, run: PlannedRun, minutes: float) -> None:
        self.done += 1
        scores = RunFolder(run.folder).read("result.json")["accuracy"]
        listed = ", ".join(f"{source} {value:.3f}" for source, value in scores.items())
        self._print(self.done, f"finished {run.name}: {listed} ({minutes:.1f} min)")

    def _print(self, count: int, text: str) -> None:
        print(f"[{count}/{self.runs}] {text}", flush=True)


def make_job(run: PlannedRun, ledger: Ledger) -> Job:
    """The command that trains or resumes a run.

    Raises:
        UserError: its budget gives no number of updates, or its folder holds another run.
    """
    updates = ledger.updates(run)
    check_folder(run, updates)
    return Job(fit_command(run.comparison.base, run.overrides(updates)), f"{updates:,} updates")


def plan_table(runs: Sequence[PlannedRun], ledger: Ledger) -> str:
    """What would be trained, as Markdown, and how much of it is left."""
    rows = [(run.name, _updates(run, ledger), _flops(run, ledger), run.entry.start or "", run.state) for run in runs]
    listed = table(rows, ("run", "updates", "training FLOPs", "starts from", "state"))
    return f"{listed}\n\n{sum(run.done for run in runs)} of {len(runs)} runs are done"


def _updates(run: PlannedRun, ledger: Ledger) -> str:
    known = ledger.known(run)
    return "counted later" if known is None else f"{known:,}"


def _flops(run: PlannedRun, ledger: Ledger) -> str:
    """Of a finished run what it took, else what its budget grants."""
    if run.done:
        training = RunFolder(run.folder).read("result.json")["training"]
        return f"{training['flops']:.3g}" if training.get("flops") else ""
    granted = ledger.flops(run)
    return f"about {granted:.3g}" if granted else ""


def failure_report(failures: Sequence[Failure], runs: int) -> str:
    parts = [f"{len(failures)} of {runs} runs failed:"]
    parts += [f"{failure.run.name}: {failure.reason}" for failure in failures]
    return "\n".join([*parts, "Repeat the command to try them again; what is done stays."])
