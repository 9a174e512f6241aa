"""The task `own`: rows of the user's, in files or in a table of the hub, and how one becomes an example.

A row has a question, an answer, and if one likes steps and a name, in columns that `data.own.columns` names. A file is
JSON lines, a JSON array, CSV with a line of names, or Parquet; its content tells which. Steps are a list of texts, or a
text that `data.own.split_steps` splits.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, replace
from functools import partial
from hashlib import sha256
from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from rim.data import files, hub
from rim.data.errors import DataError
from rim.data.example import Example, Task
from rim.data.fields import require_known
from rim.data.published import Published, Row, Rows, Source
from rim.data.steps import WRITTEN, annotations, in_form, number_text, split_sentences
from rim.settings import Data, Own

OWN = "own"
"""Name of the task whose rows the user names."""
SPLITS = ("train", "validation", "test")
PATHS = "Paths count from the folder in which the command runs"
PARQUET = b"PAR1"
"""What a Parquet file begins with."""
SPLITTERS: dict[str, Callable[[str], Iterable[str]]] = {
    "line": str.splitlines,
    "sentence": split_sentences,
    "annotation": annotations,
}
READ = ("columns", "other_columns", "split_steps")
"""Settings that decide what a row is read as."""
Found = TypeVar("Found")


def named_in(own: Own) -> Task:
    """The task of the rows that the settings name.

    Raises:
        DataError: a table that is not written `owner/name`, or whose splits are not named.
    """
    places = {split: getattr(own, split) for split in SPLITS if getattr(own, split)}
    sources = {split: _source(place, own) for split, place in places.items()}
    if own.table is not None:
        _require_named(own.table, places)
    tests = tuple(split for split in sources if split == "test")
    task = Published(OWN, sources, tests, own.answer_rule, partial(parse, own=own), WRITTEN, records).task()

    def placed(ask: Callable[[str, Data], Found]) -> Callable[[str, Data], Found]:
        """A path counts from the working directory, whatever `data.root` is, and a table is the hub's."""

        def asked(split: str, config: Data) -> Found:
            if own.table is None:
                _require_file(split, places[split])
            return ask(split, replace(config, root="" if own.table is None else None))

        return asked

    def fingerprint(split: str, config: Data) -> str:
        found = task.fingerprint(split, config)
        asked, plain = ({name: asdict(each)[name] for name in READ} for each in (own, Own()))
        return found if asked == plain else sha256(json.dumps([found, asked]).encode()).hexdigest()

    return replace(task, read=placed(task.read), fingerprint=placed(fingerprint), origin=placed(task.origin))


def records(path: Path) -> Rows:
    """Places and rows of a file, whatever of the four forms it has.

    Raises:
        DataError: it cannot be read, or holds no rows.
    """
    with path.open("rb") as file:
        if file.read(len(PARQUET)) != PARQUET:
            return files.table(path)
    return _parquet(path)


def parse(row: Row, own: Own) -> Example:
    """The example of a row.

    Raises:
        RowError: a column that is missing, unknown or of another type; names it.
    """
    names = own.columns
    if isinstance(row.values, dict):
        for field, column in asdict(names).items():
            _require_column(row, field, column)
        if own.other_columns == "refuse":
            require_known(row, asdict(names))
    values = row.check({names.question: str, names.answer: (str, int, float)})
    chain = in_form(_steps(row, own), row)
    name = values.get(names.id)
    if name is not None and (type(name) not in (str, int) or name == ""):
        raise row.broken(f"'{names.id}' is {name!r:.60}", "an id is a text or a whole number, and may be left out")
    return row.example(values[names.question], chain, _answer(row, names.answer, values[names.answer]), name)


def _steps(row: Row, own: Own) -> list[str]:
    """The steps, which may be left out."""
    column = own.columns.steps
    found = row.values.get(column)
    if found is None or found == "":
        return []
    if isinstance(found, str) and own.split_steps != "never":
        return list(SPLITTERS[own.split_steps](found))
    try:
        return row.texts(column)
    except DataError:
        rule = "steps are a list of texts, and may be left out"
        split = "split the text with data.own.split_steps=line, sentence or annotation, or " * isinstance(found, str)
        raise row.broken(f"'{column}' is {found!r:.60}", rule, f"{split}mend the row") from None


def _answer(row: Row, column: str, value: str | float) -> str:
    """The answer as a text."""
    if isinstance(value, bool) or (isinstance(value, float) and not isfinite(value)):
        raise row.broken(f"'{column}' is {value}", 'an answer is a text or a number, such as "yes"')
    return value if isinstance(value, str) else number_text(value)


def _require_column(row: Row, field: str, column: str) -> None:
    """A column that was named has to be there; under its own name it may be absent."""
    if column != field and column not in row.values:
        setting, there = f"data.own.columns.{field}", f"no field '{column}' among {', '.join(row.values)}"
        raise row.broken(there, f"{setting} names it", f"name another column, or leave {setting} out")


def _source(place: str, own: Own) -> Source:
    """A file, or a split of the table."""
    if own.table is None:
        return Source((place,))
    return Source((), (hub.Table(own.table, own.table_config, place, own.revision),))


def _require_named(table: str, places: Mapping[str, str]) -> None:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", table):
        raise DataError(f"data.own.table={table} is no table of the hub: it is written owner/name, as openai/gsm8k")
    if not places:
        raise DataError(
            f"data.own.table={table} names no split: data.own.train=SPLIT, data.own.validation=SPLIT, "
            "data.own.test=SPLIT; a part of a split is written train[:5%]"
        )


def _require_file(split: str, path: str) -> None:
    if not Path(path).is_file():
        raise DataError(
            f"own/{split}: data.own.{split}={path} is no file (looked for {Path(path).absolute()}). Put it there, or "
            f"give its new place: data.own.{split}=FILE. {PATHS}"
        )


def _parquet(path: Path) -> Rows:
    import datasets

    try:
        with TemporaryDirectory() as cache, hub.quiet():
            table = datasets.Dataset.from_parquet(str(path), cache_dir=cache, keep_in_memory=True)
            found: list[dict[str, Any]] = table.to_list()
    except Exception as error:  # the libraries raise many kinds
        reason = str(error).splitlines()[0][:200]
        raise DataError(f"{path} is no Parquet file that can be read: {reason}. Copy or write the file again") from None
    if not found:
        raise DataError(f"{path} is empty: a data file has at least one row. Copy or write the file again")
    return [(f"row {number}", row) for number, row in enumerate(found, start=1)]
