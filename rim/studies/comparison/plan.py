"""The runs of a comparison in the order of training, and every contradiction before any of them starts."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rim.base.errors import SettingsError
from rim.settings import Config
from rim.settings.duration import updates as updates_in
from rim.settings.load import differences, load
from rim.settings.resuming import FREE, path_of
from rim.studies.comparison.sameness import ComparisonError, check_same_data
from rim.studies.comparison.settings import Budget, Comparison, Entry

OWN = ("run.name", "run.folder", "run.seed", "training.duration")
"""Settings that the comparison gives every run."""
FINE = 1_000_000
"""Updates fine enough to see whether per cent sum to 100."""


@dataclass(frozen=True)
class PlannedRun:
    """A run that is to be trained, or has been."""

    comparison: Comparison
    budget: Budget
    entry: Entry
    seed: int

    @property
    def name(self) -> str:
        """As it is printed: `<budget>/<entry>/seed-<seed>`."""
        return f"{self._home.name}/{self.entry.name}/seed-{self.seed}"

    @property
    def _home(self) -> Budget:
        """The budget that the run lies under: an entry that gives a budget of FLOPs its size has been trained for just
        as many updates where there is a budget of these updates, too, and is not trained twice."""
        if self.budget.flops_of == self.entry.name:
            trained = self.comparison.budgets_of(self.entry)
            for other in self.comparison.budgets:
                if other.exact == self.budget.updates and other.name in trained:
                    return other
        return self.budget

    @property
    def folder(self) -> Path:
        return self.comparison.path / self.name

    @property
    def start(self) -> Path | None:
        """Run folder whose weights training begins with."""
        if self.entry.start is None:
            return None
        entry = next(each for each in self.comparison.entries if each.name == self.entry.start)
        return replace(self, entry=entry).folder

    @property
    def done(self) -> bool:
        return (self.folder / "result.json").exists()

    @property
    def state(self) -> str:
        """`done`, `resumes` or `to do`."""
        return "done" if self.done else "resumes" if (self.folder / "resume.ckpt").exists() else "to do"

    def overrides(self, updates: int) -> list[str]:
        """Everything beyond the files, for so many updates."""
        own = [f"run.folder={self.comparison.folder}", f"run.name={self.comparison.name}/{self.name}"]
        own += [f"run.seed={self.seed}", f"training.duration={updates} steps"]
        own += [f"backbone.start_from={self.start}"] if self.start else []
        return [*self.comparison.overrides, *self.entry.overrides, *own]

    def config(self, updates: int) -> Config:
        """The settings of the run for so many updates.

        Raises:
            SettingsError: they cannot be used; begins with the entry's name.
        """
        try:
            return load(self.comparison.base, self.overrides(updates))
        except SettingsError as error:
            raise SettingsError(f"entry '{self.entry.name}': {error}") from None


def plan_runs(comparison: Comparison) -> list[PlannedRun]:
    """All runs: budget by budget, in it seed by seed, so that whole rows of the tables are there early."""
    seeds = list(dict.fromkeys(seed for entry in comparison.entries for seed in comparison.seeds_of(entry)))
    return [
        PlannedRun(comparison, budget, entry, seed)
        for budget in comparison.budgets
        for seed in seeds
        for entry in comparison.entries
        if seed in comparison.seeds_of(entry) and budget.name in comparison.budgets_of(entry)
    ]


def distinct(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    """Each run once: one that stands in two budgets, which the run that a budget is measured by does, is one run."""
    return list({run.folder: run for run in runs}.values())


def check_plan(comparison: Comparison, runs: Sequence[PlannedRun]) -> None:
    """Refuse what would come up later: settings of runs, stages that escape the budget, folders of other runs.

    Raises:
        SettingsError: an entry cannot be trained as it is asked for.
        ComparisonError: entries are on different data, or a folder holds a run with other settings.
    """
    found = list(_overrides("overrides", comparison.overrides))
    for entry in comparison.entries:
        started = ("backbone.start_from",) if entry.start else ()
        found += _overrides(f"overrides of entry '{entry.name}'", entry.overrides, started)
    firsts: dict[tuple[str, str], PlannedRun] = {}
    for run in runs:
        firsts.setdefault((run.budget.name, run.entry.name), run)
    for run in firsts.values():
        found += [] if found else _stages(run)
    if found:
        raise SettingsError("\n".join(dict.fromkeys(found)))
    check_same_data({run.entry.name: run.config(FINE) for run in firsts.values()}, comparison.transfer)
    for run in runs:
        check_folder(run, run.budget.exact)


def _overrides(path: str, overrides: Sequence[str], also: Sequence[str] = ()) -> Iterator[str]:
    for text in overrides:
        if text.partition("=")[0].strip() in (*OWN, *also):
            yield f"{path}: '{text}' is the comparison's to set: from name, folder, seeds, budgets and start"


def _stages(run: PlannedRun) -> Iterator[str]:
    """Stages must share the budget out among them, so that every entry spends the same."""
    whole = run.budget.exact or FINE
    stages = run.config(whole).stages
    for index, stage in enumerate(stages):
        if "%" not in stage.duration:
            yield (
                f"entry '{run.entry.name}': stages[{index}].duration = '{stage.duration}' is not per cent of the "
                "budget, so it would be trained whatever the budget is: write per cent, such as 75%"
            )
            return
    lengths = [max(1, updates_in(stage.duration, batch_size=1, rows=1, whole=whole)) for stage in stages]
    if sum(lengths) == whole:
        return
    shares = " + ".join(stage.duration for stage in stages)
    enough = 100 * math.ceil(whole / 100)  # every whole per cent divides it
    yield (
        f"entry '{run.entry.name}': stages of {shares} make {sum(lengths)} of {whole} updates: they must sum to 100%"
        + (f", each a whole number of updates; {enough} would do if they do" if run.budget.exact else "")
    )


def check_folder(run: PlannedRun, updates: int | None) -> None:
    """Refuse to go on in a folder that holds a run with other settings.

    Args:
        updates: that the run is to have; None: not known yet.

    Raises:
        ComparisonError: names the folder and each setting that differs.
    """
    file = run.folder / "config.yaml"
    if not file.exists():
        return
    free = FREE if updates else (*FREE, "training.duration")
    found = differences(load([file]), run.config(updates or FINE))
    changed = [line for line in found if path_of(line) not in free]
    if changed:
        raise ComparisonError(
            f"{run.folder} holds a run with other settings than the comparison asks for: {'; '.join(changed)}. Choose "
            "another name for the comparison, the budget or the entry, or remove the folder"
        )
