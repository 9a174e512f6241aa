"""A row as it was published, on its way to an example."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rim.data import files
from rim.data.errors import RowError
from rim.data.example import MARK, Example

HALF = re.compile("[\ud800-\udfff]")
"""Half of a surrogate pair, of which no tokenizer makes anything: JSON that was cut within an emoji has it."""


@dataclass(frozen=True)
class Row:
    """A published row: its values, where it stands (for messages), its number from 0, and the form of its steps.

    `source` is `task/split`. `noted` counts what is odd in the rows of a reading without being a reason to leave them
    out.
    """

    values: Any
    where: object
    place: int | str
    index: int
    form: str
    source: str
    noted: Counter[str] = field(default_factory=Counter)

    def check(self, fields: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
        """The values, if they are an object with these fields, of one of these types each, and no empty text.

        Raises:
            RowError: names file, place and field.
        """
        kinds = {name: kind if isinstance(kind, tuple) else (kind,) for name, kind in fields.items()}
        named = (f"{name} ({' or '.join(one.__name__ for one in each)})" for name, each in kinds.items())
        rule = f"a row has the fields {', '.join(named)}"
        if not isinstance(self.values, dict):
            raise self.broken(f"{type(self.values).__name__} instead of an object", rule)
        for name, each in kinds.items():
            if name not in self.values:
                raise self.broken(f"no field '{name}' among {', '.join(self.values)}", rule)
            value = self.values[name]
            if not isinstance(value, each) or (isinstance(value, str) and not value.strip()):
                raise self.broken(f"'{name}' is {value!r:.60}", rule)
        return self.values

    def texts(self, field: str) -> list[str]:
        """A field that is a list of texts.

        Raises:
            RowError: it is not there, or something else.
        """
        found: list[str] = self.check({field: list})[field]
        if not all(isinstance(text, str) for text in found):
            raise self.broken(f"'{field}' is {found!r:.60}", f"'{field}' is a list of texts")
        return found

    def split_once(self, text: str, mark: str) -> tuple[str, str]:
        """The texts of the row before and after `mark`, stripped.

        Raises:
            RowError: it does not stand there exactly once.
        """
        count = text.count(mark)
        if count != 1:
            raise self.broken(f"{count or 'no'} '{mark}' in {text!r:.80}", f"'{mark}' stands exactly once in a row")
        before, after = text.split(mark)
        return before.strip(), after.strip()

    def broken(self, received: str, rule: str, way_out: str = "mend or delete the row") -> RowError:
        """The error of this row."""
        return files.broken(self.where, self.place, received, rule, way_out)

    def example(self, question: str, steps: Iterable[str], answer: str, name: object = None) -> Example:
        """The example of this row, texts without spaces around them and no empty steps; `name` replaces its number.

        Raises:
            RowError: the question or the answer is empty, the answer is more than a line, or a text holds half a
                character.
        """
        texts = {"question": files.clean(question), "answer": files.clean(answer)}
        replace(self, values=texts).check({"question": str, "answer": str})
        if "\n" in texts["answer"] or MARK in texts["answer"]:  # rules would read the end alone, and grade by that
            rule = f"an answer is one line without {MARK}, and what comes before it are 'steps'"
            raise self.broken(f"'answer' is {texts['answer']!r:.60}", rule)
        chain = tuple(text for step in steps if (text := files.clean(step)))
        id = f"{self.source}/{self.index if name is None else name}"
        half = next(filter(HALF.search, (*texts.values(), *chain, id)), None)
        if half is not None:
            rule = "a text is Unicode, and \\ud800 to \\udfff go in pairs"
            raise self.broken(f"half a character in {half!r:.60}", rule)
        return Example(id, texts["question"], chain, texts["answer"])
