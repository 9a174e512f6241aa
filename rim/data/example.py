"""What an example is, what a task offers, and the table of tasks. Imports nothing heavy: names are checked at start."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cached_property
from importlib import import_module

from rim.config import Data
from rim.errors import UserError

TASKS = {
    name: f"rim.data.{name}:TASK"
    for name in (
        *("aqua", "arithmetic", "coin_flip", "gpqa", "gsm8k", "gsm8k_aug", "gsm_hard", "last_letters", "logiqa"),
        *("logiqa2", "math", "math500", "multiarith", "prosqa", "strategyqa", "svamp", "tracking"),
    )
}
"""Where each task lives, `module:object`; a new task is one file and one name here."""
OWN = "own"
"""Name of the task whose rows stand in the user's own files."""

MARK = "####"
"""Stands before the answer of a written chain, as in GSM8K."""


class DataError(UserError):
    """Data that cannot be read, named or used as asked: says where, the rule, and the way out."""


class RowError(DataError):
    """A row that cannot be read: where it stands, what was received, the rule, and the way out."""

    def __init__(self, place: str, received: str, rule: str, way_out: str) -> None:
        super().__init__(f"{place}: {received}; {rule}. Way out: {way_out}")
        self.place, self.received = place, received


@dataclass(frozen=True, slots=True)
class Example:
    """A question, the steps that solve it, and the answer.

    `id` is `task/split/row`, rows counted from 0, or the publisher's own name in the place of the row.
    """

    id: str
    question: str
    steps: tuple[str, ...]
    answer: str


@dataclass
class Reading:
    """The examples of a split, the rows read, the rows left out by reason, and where the rows were found.

    `origin` names the file with its sha256, or the table of the hub with the commit that was really read. `noted`
    counts what is odd in rows that are not left out, by what it is.
    """

    examples: list[Example]
    read: int
    dropped: dict[str, int] = field(default_factory=dict)
    origin: str = ""
    noted: dict[str, int] = field(default_factory=dict)

    @cached_property
    def distinct(self) -> int:
        """Number of different questions."""
        return len({example.question for example in self.examples})


@dataclass(frozen=True)
class Task:
    """A data set: its splits, how its answers are graded, and how a split is read.

    `test_splits` neither train nor choose a checkpoint. `answer_rule` is a name in `rim.answers`.
    `read(split, config)` gives the examples, in a fixed order; `fingerprint(split, config)` a sha256 that
    changes whenever they do. `forms` are those of `data.steps` that the task has; none: it has no steps. `tables` are
    the names of the tables of the hub that it reads. `origin(split, config)` is where the rows are found now, as in
    `Reading`, without reading them; empty: not known before.
    """

    name: str
    splits: tuple[str, ...]
    test_splits: tuple[str, ...]
    answer_rule: str
    read: Callable[[str, Data], Reading]
    fingerprint: Callable[[str, Data], str]
    forms: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    origin: Callable[[str, Data], str] = lambda split, config: ""

    @property
    def open_splits(self) -> tuple[str, ...]:
        """Splits that may train or choose a checkpoint."""
        return tuple(split for split in self.splits if split not in self.test_splits)


def form_in(forms: tuple[str, ...], wanted: str) -> str:
    """The form in which steps are read: the wanted one where a task has it, else the task's first.

    A source that trains is refused before, where it has not got the wanted form; others are read as they are.
    """
    return wanted if wanted in forms or not forms else forms[0]


def own_tasks(config: Data) -> dict[str, Task]:
    """The user's tasks: those of the Python files in `data.modules`, and `own` where `data.own` names files.

    Raises:
        DataError: a file that is gone or defines no task, or a name that is taken.
    """
    if not config.modules and not any((config.own.train, config.own.validation, config.own.test)):
        return {}
    from rim.data.own import tasks

    return tasks(config)


def task(name: str, config: Data | None = None) -> Task:
    """The task of that name, among the published ones and the user's.

    Raises:
        DataError: no such task; lists the known ones and the nearest.
    """
    own = own_tasks(config) if config is not None else {}
    if name in own:
        return own[name]
    if name not in TASKS:
        known = [*TASKS, *own]
        files = "; name its files: data.own.train=FILE, data.own.validation=FILE, data.own.test=FILE"
        way = files if name == OWN else "; one of your own is a Python file that data.modules=[FILE] names"
        raise DataError(f"unknown task '{name}'{_nearest(name, known)}: the tasks are {', '.join(known)}{way}")
    module, attribute = TASKS[name].split(":")
    found: Task = getattr(import_module(module), attribute)
    return found


def parse_source(source: str, config: Data | None = None) -> tuple[Task, str]:
    """`gsm8k/test` as the task and its split.

    Raises:
        DataError: not of the form `task/split`, or an unknown task or split; names the valid ones.
    """
    name, slash, split = source.partition("/")
    if not slash:
        example = f"{name}/{task(name, config).splits[0]}" if name in TASKS else "gsm8k/test"
        raise DataError(f"source '{source}' names no split: write task/split, such as {example}")
    found = task(name, config)
    if split not in found.splits:
        valid = ", ".join(f"{name}/{known}" for known in found.splits)
        raise DataError(f"unknown split '{split}' of task '{name}'{_nearest(split, found.splits)}: there are {valid}")
    return found, split


def read(source: str, config: Data) -> Reading:
    """The examples of `task/split`.

    Raises:
        DataError: an unknown source, or data that is missing or broken.
    """
    found, split = parse_source(source, config)
    return found.read(split, config)


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{near[0]}'?)" if near else ""
