"""A user's own tasks: rows that the settings name (`own_rows.py`), or Python files that define a `TASK`.

A file of `data.modules` defines `TASK`, a `rim.data.example.Task`, which `rim.data.published.Published` builds in a few
lines. Paths count from the folder in which the command runs.
"""

import sys
from collections.abc import Collection
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from rim.base.errors import UserError
from rim.data import files
from rim.data.answers import RULES
from rim.data.errors import DataError
from rim.data.example import Reading, Task
from rim.data.own_rows import OWN, PATHS, SPLITS, named_in
from rim.settings import Data


def tasks(config: Data, published: Collection[str]) -> dict[str, Task]:
    """The user's tasks by name; none takes that of a published one.

    Raises:
        DataError: a file that is gone or defines no task, a name that is taken, or an unknown answer rule.
    """
    found: dict[str, Task] = {}
    for path in config.modules:
        task = _defined_in(path)
        check_name(task.name, (*published, *found), path)
        _require_rule(task.answer_rule, f"TASK of {path}")
        found[task.name] = task
    if config.own.table or any(getattr(config.own, split) for split in SPLITS):
        _require_rule(config.own.answer_rule, "data.own.answer_rule")
        found[OWN] = named_in(config.own)
    return found


def check_name(name: str, taken: Collection[str], where: str) -> None:
    """Refuse a task's name that others have, or that is no word.

    Raises:
        DataError: it is either.
    """
    if name in (*taken, OWN) or not name.isidentifier():
        raise DataError(f"{where} names its task '{name}': take another word, not one of {', '.join((*taken, OWN))}")


def _defined_in(path: str) -> Task:
    """The task of a Python file; its fingerprints change with the file."""
    file = Path(path)
    if not file.is_file():
        raise DataError(
            f"data.modules names {path}, which is no file (looked for {file.absolute()}). Put it there, where a "
            f"run that is resumed looks for it, or give its new place: data.modules=[FILE]. {PATHS}"
        )
    digest = files.digest(file)
    task = getattr(_module(str(file.resolve()), digest), "TASK", None)
    if not isinstance(task, Task):
        what = "no TASK" if task is None else f"a TASK that is {type(task).__name__}"
        raise DataError(
            f"{path} defines {what}: it must be a rim.data.example.Task, as under 'Your own task' in docs/data.md"
        )
    return _told_by(path, digest, task)


def _told_by(path: str, digest: str, task: Task) -> Task:
    """The task with its Python file in its fingerprints and in the origin of its rows."""

    def told(origin: str) -> str:
        return "; ".join(filter(None, (origin, f"{path}, sha256 {digest}")))

    def read(split: str, config: Data) -> Reading:
        reading = task.read(split, config)
        return replace(reading, origin=told(reading.origin))

    def origin(split: str, config: Data) -> str:
        known = task.origin(split, config)
        return told(known) if known else ""

    def fingerprint(split: str, config: Data) -> str:
        return sha256(f"{digest} {task.fingerprint(split, config)}".encode()).hexdigest()

    return replace(task, read=read, fingerprint=fingerprint, origin=origin)


@cache
def _module(path: str, digest: str) -> ModuleType:
    """The file as a module; run once for each content.

    An import would take compiled code of the file's former content, where size and second of the change are the same.
    """
    name = f"rim_task_{digest[:16]}"
    module = sys.modules[name] = ModuleType(name)
    module.__file__ = path
    try:
        exec(compile(Path(path).read_bytes(), path, "exec"), vars(module))
    except UserError:
        raise
    except Exception as error:
        lines = [frame.lineno for frame in extract_tb(error.__traceback__) if frame.filename == path]
        line = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else "?"
        raise DataError(f"{path}, line {line}: {type(error).__name__}: {error}. Mend the file of the task") from error
    return module


def _require_rule(rule: str, where: str) -> None:
    if rule not in RULES:
        raise DataError(f"{where} asks for the answer rule '{rule}': the rules are {', '.join(RULES)}")
