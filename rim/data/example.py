"""The types of data: an example, the examples read from a split, and a task."""

from collections.abc import Callable
from dataclasses import dataclass, field

from rim.data.counterfactual import Solver
from rim.settings import Data

MARK = "####"
"""Stands before the answer of a chain of thought, as in GSM8K."""


def after_mark(text: str) -> str:
    """The answer within a generated chain; nothing where it did not come to its mark."""
    return text.rsplit(MARK, 1)[1].strip() if MARK in text else ""


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


@dataclass(frozen=True)
class Task:
    """A data set: its splits, how its answers are graded, and how a split is read.

    `test_splits` neither train nor choose a checkpoint. `answer_rule` is a name in `rim.data.answers`.
    `read(split, config)` gives the examples, in a fixed order; `fingerprint(split, config)` a sha256 that
    changes whenever they do. `forms` are those of `data.steps` that the task has; none: it has no steps. `tables` are
    the names of the tables of the hub that it reads. `origin(split, config)` is where the rows are found now, as in
    `Reading`, without reading them; empty: not known before. `solver` reads the questions of a generated task.
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
    solver: Solver | None = None


def form_in(forms: tuple[str, ...], wanted: str) -> str:
    """The form in which steps are read: the wanted one where a task has it, else the task's first.

    A source that trains is refused before, where it has not got the wanted form; others are read as they are.
    """
    return wanted if wanted in forms or not forms else forms[0]
