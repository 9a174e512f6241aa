"""A user's own tasks: rows in JSON-lines files named in the settings, or Python files that define a `TASK`.

`data.own` makes the task `own`, whose rows are `{"question", "steps" (optional), "answer", "id" (optional)}` and have
no other field. A file of `data.modules` defines `TASK`, a `rim.data.example.Task`, which
`rim.data.published.Published` builds in a few lines. Paths count from the folder in which the command runs.
"""

import sys
from collections.abc import Collection
from dataclasses import replace
from functools import cache
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from math import isfinite
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from rim.answers import RULES
from rim.base.errors import UserError
from rim.data import files
from rim.data.errors import DataError
from rim.data.example import Example, Reading, Task
from rim.data.fields import require_known
from rim.data.published import Published, Row, Source
from rim.data.steps import WRITTEN, in_form, number_text
from rim.settings import Data, Own

OWN = "own"
"""Name of the task whose rows stand in the user's own files."""
SPLITS = ("train", "validation", "test")
PATHS = "Paths count from the folder in which the command runs"


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
    if any(getattr(config.own, split) for split in SPLITS):
        _require_rule(config.own.answer_rule, "data.own.answer_rule")
        found[OWN] = _in_files(config.own)
    return found


def check_name(name: str, taken: Collection[str], where: str) -> None:
    """Refuse a task's name that others have, or that is no word.

    Raises:
        DataError: it is either.
    """
    if name in (*taken, OWN) or not name.isidentifier():
        raise DataError(f"{where} names its task '{name}': take another word, not one of {', '.join((*taken, OWN))}")


def parse(row: Row) -> Example:
    """The example of a row of the task `own`."""
    if isinstance(row.values, dict):
        require_known(row)
    values = row.check({"question": str, "answer": (str, int, float)})
    chain = in_form(tuple(step for step in _steps(row) if step.strip()), row.form, row.where, row.place)
    name = values.get("id")
    if name is not None and (type(name) not in (str, int) or name == ""):
        raise row.broken(f"'id' is {name!r:.60}", "an id is a text or a whole number, and may be left out")
    return row.example(values["question"], chain, _answer(row, values["answer"]), name)


def _steps(row: Row) -> list[str]:
    """The steps, which may be left out."""
    if row.values.get("steps") is None:
        return []
    try:
        return row.texts("steps")
    except DataError:
        raise row.broken(
            f"'steps' is {row.values['steps']!r:.60}", "steps are a list of texts, and may be left out"
        ) from None


def _answer(row: Row, value: str | float) -> str:
    """The answer as a text."""
    if isinstance(value, bool) or (isinstance(value, float) and not isfinite(value)):
        raise row.broken(f"'answer' is {value}", 'an answer is a text or a number, such as "yes"')
    return value if isinstance(value, str) else number_text(value)


def _in_files(own: Own) -> Task:
    paths = {split: getattr(own, split) for split in SPLITS if getattr(own, split)}
    sources = {split: Source((path,)) for split, path in paths.items()}
    rows = Published(OWN, sources, ("test",), own.answer_rule, parse, WRITTEN)

    def read(split: str, config: Data) -> Reading:
        return rows.read(split, _here(split, paths[split], config))

    def fingerprint(split: str, config: Data) -> str:
        return rows.fingerprint(split, _here(split, paths[split], config))

    def origin(split: str, config: Data) -> str:
        return rows.origin(split, _here(split, paths[split], config))

    test = tuple(split for split in sources if split == "test")
    return Task(OWN, tuple(sources), test, own.answer_rule, read, fingerprint, WRITTEN, origin=origin)


def _here(split: str, path: str, config: Data) -> Data:
    """Settings under which a path counts from the working directory, whatever `data.root` is."""
    if not Path(path).is_file():
        raise DataError(
            f"own/{split}: data.own.{split}={path} is no file (looked for {Path(path).absolute()}). Put it there, or "
            f"give its new place: data.own.{split}=FILE. {PATHS}"
        )
    return replace(config, root="")


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
    """The file as a module; run once for each content."""
    name = f"rim_task_{digest[:16]}"
    spec = spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, f"{path} does not end in .py"
    module = sys.modules[name] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
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
