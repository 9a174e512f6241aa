"""The settings of a comparison: which entries, seeds and budgets; read as strictly as those of a run.

Imports nothing heavy: contradictions are refused at once.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from omegaconf import MISSING

from rim.base.errors import SettingsError, unknown
from rim.settings.load import load_as


@dataclass
class Budget:
    """What every run of a group may cost: `updates`, or `flops`, or the FLOPs of one entry at `updates`."""

    name: str = MISSING
    """Name of the group, and of its folder."""
    updates: int | None = None
    """Updates of every run; where `flops_of` is set, of the entry that it names."""
    flops: float | None = None
    """Training FLOPs of every run."""
    flops_of: str | None = None
    """Entry whose training FLOPs at `updates` every run may spend."""

    @property
    def exact(self) -> int | None:
        """Updates of every run; None: FLOPs bound them."""
        return self.updates if self.flops_of is None else None


@dataclass
class Entry:
    """One line of the tables: settings that are trained with several seeds."""

    name: str = MISSING
    """Name in tables and figures, and of its folder."""
    overrides: list[str] = field(default_factory=list)
    """`key=value` on top of the comparison's."""
    start: str | None = None
    """Entry whose weights of the same budget and seed training begins with; it is trained before."""
    seeds: list[int] = field(default_factory=list)
    """Seeds; empty: those of the comparison."""
    budgets: list[str] = field(default_factory=list)
    """Names of the budgets that it is trained under; empty: all."""


@dataclass
class Comparison:
    """Entries × seeds × budgets; a run's folder is `<folder>/<name>/<budget>/<entry>/seed-<seed>`."""

    name: str = MISSING
    """Name; tables and figures stand in `<folder>/<name>`."""
    folder: str = "runs"
    """Folder of all runs."""
    base: list[str] = field(default_factory=list)
    """Configuration files of every run; a later one wins."""
    overrides: list[str] = field(default_factory=list)
    """`key=value` of every run; they win over files."""
    seeds: list[int] = field(default_factory=lambda: [0])
    """Seeds of every entry without its own."""
    jobs: int | None = None
    """Runs side by side, each with GPUs of its own, or its share of the cores; empty: as many as there are GPUs for,
    one on the CPU."""
    reference: str | None = None
    """Entry that the others are compared with, pair by pair; empty: the first."""
    transfer: bool = False
    """Whether entries may choose checkpoints on different sources, as they may train on them; tests are the same."""
    budgets: list[Budget] = field(default_factory=list)
    """Groups of runs, compared apart."""
    entries: list[Entry] = field(default_factory=list)
    """What is compared, in the order of the tables."""

    @property
    def path(self) -> Path:
        return Path(self.folder) / self.name

    @property
    def reference_entry(self) -> str:
        return self.reference or self.entries[0].name

    def seeds_of(self, entry: Entry) -> list[int]:
        return entry.seeds or self.seeds

    def budgets_of(self, entry: Entry) -> list[str]:
        return entry.budgets or [budget.name for budget in self.budgets]


def load_comparison(files: Sequence[str | Path], overrides: Sequence[str] = ()) -> Comparison:
    """Read and check a comparison's settings: defaults < files < `key=value`.

    Raises:
        SettingsError: a file, key, value or combination that cannot be used; the text says which and what can.
    """
    return load_as(Comparison, files, overrides, problems)


def only(comparison: Comparison, names: Sequence[str]) -> Comparison:
    """The comparison with these entries alone, and those that they need: starts, the reference, the size of a budget.

    Raises:
        SettingsError: there is no such entry; lists the known ones.
    """
    by_name = {entry.name: entry for entry in comparison.entries}
    found = [text for name in names for text in unknown("--only", name, by_name, "entry")]
    if found:
        raise SettingsError("\n".join(found))
    sizes = [budget.flops_of for budget in comparison.budgets if budget.flops_of is not None]
    wanted = {each for name in (*names, comparison.reference_entry, *sizes) for each in _chain(by_name[name], by_name)}
    return replace(comparison, entries=[entry for entry in comparison.entries if entry.name in wanted])


def problems(comparison: Comparison) -> Iterator[str]:
    """A sentence for everything that cannot be used: path, value, rule, way out."""
    if not (comparison.entries and comparison.budgets and comparison.seeds):
        empty = [name for name in ("entries", "budgets", "seeds") if not getattr(comparison, name)]
        yield f"{' and '.join(empty)} empty: a comparison trains entries x seeds under a budget, and has one of each"
        return
    if comparison.jobs is not None and comparison.jobs < 1:
        yield f"jobs = {comparison.jobs}: must be at least 1"
    entries = [entry.name for entry in comparison.entries]
    budgets = [budget.name for budget in comparison.budgets]
    yield from _names("entries", entries)
    yield from _names("budgets", budgets)
    yield from _seeds(comparison)
    for index, budget in enumerate(comparison.budgets):
        yield from _budget(f"budgets[{index}]", budget, comparison)
    if comparison.reference is not None:
        yield from unknown("reference", comparison.reference, entries, "entry")
    for index, entry in enumerate(comparison.entries):
        for name in entry.budgets:
            yield from unknown(f"entries[{index}].budgets", name, budgets, "budget")
        yield from _start(f"entries[{index}].start", entry, comparison)


def _names(path: str, names: list[str]) -> Iterator[str]:
    for index, name in enumerate(names):
        if not re.fullmatch(r"[\w+-][\w.+-]*", name) or name == "tensorboard":
            rule = "letters, digits, and . _ + - only, no . in front; 'tensorboard' is the comparison's own"
            yield f"{path}[{index}].name = '{name}': names a folder: {rule}"
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{path}: {count} are named '{name}'; every one needs a name of its own"


def _seeds(comparison: Comparison) -> Iterator[str]:
    lists = {"seeds": comparison.seeds} | {f"seeds of entry '{e.name}'": e.seeds for e in comparison.entries}
    for path, seeds in lists.items():
        if len(set(seeds)) < len(seeds) or any(seed < 0 for seed in seeds):
            yield f"{path} = {seeds}: each stands there once, and is 0 or more"


def _budget(path: str, budget: Budget, comparison: Comparison) -> Iterator[str]:
    given = [name for name in ("updates", "flops", "flops_of") if getattr(budget, name) is not None]
    if given not in (["updates"], ["flops"], ["updates", "flops_of"]):
        yield (
            f"{path} sets {' and '.join(given) or 'nothing'}: a budget is `updates: 2000`, or `flops: 1e13`, or "
            "`flops_of: ENTRY` with `updates: 2000`"
        )
    for name in ("updates", "flops"):
        value = getattr(budget, name)
        if value is not None and not 1 <= value < float("inf"):
            yield f"{path}.{name} = {value}: must be at least 1"
    if budget.flops_of is None:
        return
    by_name = {entry.name: entry for entry in comparison.entries}
    yield from unknown(f"{path}.flops_of", budget.flops_of, by_name, "entry")
    if budget.flops_of in by_name and by_name[budget.flops_of].start:
        yield (
            f"{path}.flops_of = '{budget.flops_of}': this entry starts from another, so its cost is known only once "
            "that one is trained; name an entry without start, or give flops"
        )


def _start(path: str, entry: Entry, comparison: Comparison) -> Iterator[str]:
    if entry.start is None:
        return
    by_name = {each.name: each for each in comparison.entries}
    if entry.start not in by_name:
        yield from unknown(path, entry.start, by_name, "entry")
        return
    start = by_name[entry.start]
    if entry.name in _chain(start, by_name):
        yield f"{path} = '{entry.start}': starts lead back to '{entry.name}' itself; one of them must start fresh"
    lacking: dict[str, list[object]] = {
        "seeds": [seed for seed in comparison.seeds_of(entry) if seed not in comparison.seeds_of(start)],
        "budgets": [name for name in comparison.budgets_of(entry) if name not in comparison.budgets_of(start)],
    }
    for what, values in lacking.items():
        if values:
            listed = ", ".join(map(str, values))
            yield f"{path} = '{start.name}': it is not trained with {what} {listed}, which '{entry.name}' has"


def _chain(entry: Entry, by_name: dict[str, Entry]) -> list[str]:
    """Names from an entry back along its starts, each once."""
    names: list[str] = []
    while entry.name not in names:
        names.append(entry.name)
        if entry.start not in by_name:
            break
        entry = by_name[entry.start]
    return names
