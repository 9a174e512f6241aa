"""Looks up tasks by name, published ones and the user's own. Imports nothing heavy."""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module

from rim.data import own
from rim.data.errors import DataError
from rim.data.example import Task, form_in
from rim.data.task_split import TaskSplit
from rim.settings import Data

NAMES = (
    "aqua arithmetic coin_flip gpqa gsm8k gsm8k_aug gsm8k_renumbered gsm_hard last_letters logiqa logiqa2 math math500 "
    "multiarith prosqa strategyqa svamp tracking"
)
TASKS = NAMES.split()
"""The tasks, each the `TASK` of the file `rim/data/tasks/NAME.py`; a new task is one file and one name here."""

_registered: dict[str, Task] = {}


def register_task(task: Task) -> Task:
    """Make a task known to this process, as a file of `data.modules` makes it known to a run; the task itself.

    A run that reads it is opened again by a process that has registered it. Registering a name again replaces the task.

    Raises:
        DataError: the name is that of a published task, or no word.
    """
    own.check_name(task.name, TASKS, "register_task")
    _registered[task.name] = task
    return task


def own_tasks(config: Data) -> dict[str, Task]:
    """The user's tasks: registered ones, those of the Python files in `data.modules`, and `own` where `data.own` names
    files.

    Raises:
        DataError: a file that is gone or defines no task, or a name that is taken.
    """
    return _registered | own.tasks(config, published=(*TASKS, *_registered))


def task(name: str, config: Data | None = None) -> Task:
    """The task of that name, among the published ones and the user's.

    Raises:
        DataError: no such task; lists the known ones and the nearest.
    """
    mine = own_tasks(config) if config is not None else _registered
    if name in mine:
        return mine[name]
    if name not in TASKS:
        known = [*TASKS, *mine]
        files = "; name its files: data.own.train=FILE, data.own.validation=FILE, data.own.test=FILE"
        way = files if name == own.OWN else "; one of your own is a Python file that data.modules=[FILE] names"
        raise DataError(f"unknown task '{name}'{_nearest(name, known)}: the tasks are {', '.join(known)}{way}")
    found: Task = import_module(f"rim.data.tasks.{name}").TASK
    return found


def parse_source(source: str, config: Data) -> TaskSplit:
    """The source that a text such as `gsm8k/test` names.

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
    return TaskSplit(found, split, form_in(found.forms, config.steps) if found.forms else "")


def _nearest(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean '{near[0]}'?)" if near else ""
