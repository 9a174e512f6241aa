"""A published task: where the rows of each split stand, and how one row becomes an example.

A task's file gives its `Source`s and a `parse`; finding, reading, counting, checking and fingerprinting are the same
for all and stand here.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from rim.config import Data
from rim.data import files, hub
from rim.data.example import DataError, Example, Reading, Task, form_in

HALF = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, of which no tokenizer makes anything: JSON that was cut within an emoji has it."""

Rows = Iterable[tuple[int | str, Any]]
"""Places within a file (a line, or words), and values."""


@dataclass(frozen=True)
class Source:
    """Where a split stands: files below `data.root`, of which the first that is there is read, and tables of the hub.

    `forms` are other sources for other forms of `data.steps`; `home` is where the publisher has the file;
    `otherwise` is another way out for one who has no such file.
    """

    files: tuple[str, ...]
    tables: tuple[hub.Table, ...] = ()
    home: str = ""
    otherwise: str = ""
    forms: Mapping[str, "Source"] = field(default_factory=dict)

    def path(self, config: Data, source: str) -> Path:
        """The local file or folder.

        Raises:
            DataError: it is not there; says what was looked for.
        """
        on_the_hub = "or set data.root=null to read from the Hugging Face hub"
        way = on_the_hub if self.tables else f"from {self.home}: no copy on the hub has these rows"
        return files.find(config, self.files, source, way + self.otherwise)

    def require_tables(self, source: str) -> None:
        """Refuse to ask the hub for rows that it has not got.

        Raises:
            DataError: names the publisher's file.
        """
        if not self.tables:
            raise DataError(
                f"{source} is read from the publisher's file alone, since no copy on the hub has these rows: set "
                f"data.root=FOLDER to a folder that holds {' or '.join(self.files)}, from {self.home}"
            )


@dataclass(frozen=True)
class Row:
    """A published row: its values, where it stands (for messages), its number from 0, and the form of its steps.

    `source` is `task/split`.
    """

    values: Any
    where: object
    place: int | str
    index: int
    form: str
    source: str

    def check(self, fields: files.Fields) -> dict[str, Any]:
        """The values, if they are an object with these fields.

        Raises:
            DataError: names file, place and field.
        """
        return files.check(self.values, fields, self.where, self.place)

    def texts(self, field: str) -> list[str]:
        """A field that is a list of texts.

        Raises:
            DataError: it is not there, or something else.
        """
        found: list[str] = self.check({field: list})[field]
        if not all(isinstance(text, str) for text in found):
            raise self.broken(f"'{field}' is {found!r:.60}", f"'{field}' is a list of texts")
        return found

    def broken(self, received: str, rule: str) -> DataError:
        """The error of this row."""
        return files.broken(self.where, self.place, received, rule, "mend or delete the row")

    def example(self, question: str, steps: Iterable[str], answer: str, name: object = None) -> Example:
        """The example of this row, texts without spaces around them and no empty steps; `name` replaces its number.

        Raises:
            DataError: the question or the answer is empty, or a text holds half a character.
        """
        texts = {"question": files.clean(question), "answer": files.clean(answer)}
        files.check(texts, {"question": str, "answer": str}, self.where, self.place)
        chain = tuple(text for step in steps if (text := files.clean(step)))
        half = next(filter(HALF.search, (*texts.values(), *chain)), None)
        if half is not None:
            raise self.broken(
                f"half a character in {half!r:.60}", "a text is Unicode, and \\ud800 to \\udfff go in pairs"
            )
        return Example(
            f"{self.source}/{self.index if name is None else name}", texts["question"], chain, texts["answer"]
        )


@dataclass(frozen=True)
class Published:
    """A published task.

    `parse` gives the example of a row, or the reason why it is left out. `records` reads the rows of a file. `forms`
    are the forms of steps that the task has.
    """

    name: str
    sources: Mapping[str, Source]
    test_splits: tuple[str, ...]
    answer_rule: str
    parse: Callable[[Row], Example | str]
    forms: tuple[str, ...] = ()
    records: Callable[[Path], Rows] = files.records

    def task(self) -> Task:
        """The task that reads these rows."""
        splits = tuple(self.sources)
        return Task(self.name, splits, self.test_splits, self.answer_rule, self.read, self.fingerprint, self.forms)

    def read(self, split: str, config: Data) -> Reading:
        """The examples of a split, in the order of the file."""
        form = form_in(self.forms, config.steps)
        where, origin, rows = self._open(split, config)
        examples, dropped = [], Counter[str]()
        for index, (place, values) in enumerate(rows):
            found = self.parse(Row(values, where, place, index, form, f"{self.name}/{split}"))
            if isinstance(found, str):
                dropped[found] += 1
            else:
                examples.append(found)
        _require_different(examples, where)
        return Reading(examples, len(examples) + dropped.total(), dict(dropped), origin)

    def fingerprint(self, split: str, config: Data) -> str:
        """sha256 of the file, or of the commits of the tables."""
        source = self._source(split, config)
        if config.root is not None:
            return files.digest(source.path(config, f"{self.name}/{split}"))
        source.require_tables(f"{self.name}/{split}")
        tables = [hub.at(table, config.revisions) for table in source.tables]
        return sha256("\n".join(hub.origin(table, source.files) for table in tables).encode()).hexdigest()

    def _source(self, split: str, config: Data) -> Source:
        source = self.sources[split]
        return source.forms.get(form_in(self.forms, config.steps), source)

    def _open(self, split: str, config: Data) -> tuple[object, str, Rows]:
        """Where the rows stand, in words and in full, and the rows."""
        source = self._source(split, config)
        if config.root is not None:
            path = source.path(config, f"{self.name}/{split}")
            return path, f"{path}, sha256 {files.digest(path)}", self.records(path)
        source.require_tables(f"{self.name}/{split}")
        tables = [hub.at(table, config.revisions) for table in source.tables]
        rows = (row for table in tables for row in enumerate(hub.rows(table, source.files), start=1))
        return tables[0].name, "; ".join(hub.origin(table, source.files) for table in tables), rows


def _require_different(examples: Iterable[Example], where: object) -> None:
    seen: set[str] = set()
    for example in examples:
        if example.id in seen:
            raise DataError(
                f"{where}: two rows are named '{example.id}'. Ids differ: mend one, or leave all of them out"
            )
        seen.add(example.id)
