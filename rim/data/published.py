"""A published task: where the rows of each split stand, and how one row becomes an example.

A task's file gives its `Source`s and a `parse`; finding, reading, counting, checking and fingerprinting are the same
for all and stand here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from rim.data import files, hub
from rim.data.errors import DataError
from rim.data.example import Example, Reading, Task, form_in
from rim.data.lenient import Lenient
from rim.data.row import Row
from rim.settings import Data

__all__ = ["Published", "Row", "Rows", "Source"]

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

    def find(self, config: Data, source: str) -> Path | list[hub.Table]:
        """The local file or folder, or where `data.root` is null the tables of the hub.

        Raises:
            DataError: there is none; says what was looked for, and where to get it.
        """
        if config.root is None:
            if not self.tables:
                raise DataError(
                    f"{source} is read from the publisher's file alone, since no copy on the hub has these rows: set "
                    f"data.root=FOLDER to a folder that holds {' or '.join(self.files)}, from {self.home}"
                )
            return [hub.at(table, config.revisions) for table in self.tables]
        paths = [Path(config.root or ".") / file for file in self.files]
        if found := next(filter(Path.exists, paths), None):
            return found
        on_the_hub = "or set data.root=null to read from the Hugging Face hub"
        way = on_the_hub if self.tables else f"from {self.home}: no copy on the hub has these rows"
        raise DataError(
            f"{source}: no file {' or '.join(map(str, paths))}. Put it there, set data.root to the folder that holds "
            f"it, {way}{self.otherwise}"
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
        sources = [each for source in self.sources.values() for each in (source, *source.forms.values())]
        return Task(
            *(self.name, tuple(self.sources), self.test_splits, self.answer_rule, self.read, self.fingerprint),
            forms=self.forms,
            tables=tuple(dict.fromkeys(table.name for source in sources for table in source.tables)),
            origin=self.origin,
        )

    def read(self, split: str, config: Data) -> Reading:
        """The examples of a split, in the order of the file.

        Raises:
            DataError: data that is missing, a row of a file that cannot be read, or more than a few of a table.
        """
        source, form, noted = f"{self.name}/{split}", form_in(self.forms, config.steps), Counter[str]()
        where, rows = self._open(split, config)
        given = (Row(values, where, place, index, form, source, noted) for index, (place, values) in enumerate(rows))
        if config.root is not None:
            examples, dropped = _parsed(given, self.parse)
            _require_different(examples, where)
        else:
            lenient = Lenient(self.parse, self.answer_rule)
            examples, dropped = _parsed(given, lenient)
            lenient.require_few(source, str(where), " or ".join(self._source(split, config).files))
        read, origin = len(examples) + dropped.total(), self.origin(split, config)
        return Reading(examples, read, dict(dropped), origin, dict(noted))

    def origin(self, split: str, config: Data) -> str:
        """The file and its sha256, or the tables and the commits at which they are read."""
        found = self._find(split, config)
        if isinstance(found, Path):
            return f"{found}, sha256 {files.digest(found)}"
        return "; ".join(hub.origin(table, self._source(split, config).files) for table in found)

    def fingerprint(self, split: str, config: Data) -> str:
        """sha256 of the file, or of the commits of the tables."""
        found = self._find(split, config)
        if isinstance(found, Path):
            return files.digest(found)
        return sha256(self.origin(split, config).encode()).hexdigest()

    def _source(self, split: str, config: Data) -> Source:
        source = self.sources[split]
        return source.forms.get(form_in(self.forms, config.steps), source)

    def _find(self, split: str, config: Data) -> Path | list[hub.Table]:
        return self._source(split, config).find(config, f"{self.name}/{split}")

    def _open(self, split: str, config: Data) -> tuple[object, Rows]:
        """Where the rows stand, in words, and the rows."""
        found = self._find(split, config)
        if isinstance(found, Path):
            return found, self.records(found)
        instead = self._source(split, config).files
        rows = (row for table in found for row in enumerate(hub.load(table, instead).rows, start=1))
        return found[0].name, rows


def _parsed(rows: Iterable[Row], parse: Callable[[Row], Example | str]) -> tuple[list[Example], Counter[str]]:
    """The examples of rows, and the number of those left out by reason."""
    examples, dropped = [], Counter[str]()
    for row in rows:
        found = parse(row)
        if isinstance(found, str):
            dropped[found] += 1
        else:
            examples.append(found)
    return examples, dropped


def _require_different(examples: Iterable[Example], where: object) -> None:
    for id, count in Counter(example.id for example in examples).items():
        if count > 1:
            raise DataError(f"{where}: two rows are named '{id}'. Ids differ: mend one, or leave all of them out")
