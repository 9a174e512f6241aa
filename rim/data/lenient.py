"""Rows of the hub that cannot be read: left out and counted, since whoever reads a table cannot mend it.

A row of a file stops the run instead: it can be mended.
"""

from collections.abc import Callable

from rim.data.answers import extract
from rim.data.errors import DataError, RowError
from rim.data.example import Example
from rim.data.few import LIMIT, Failures
from rim.data.row import Row


class Lenient:
    """Parses the rows of a table as `parse` does; one that it refuses becomes a reason to leave it out.

    So does one whose answer cannot be read by `answer_rule`.
    """

    def __init__(self, parse: Callable[[Row], Example | str], answer_rule: str) -> None:
        self.parse, self.answer_rule = parse, answer_rule
        self.failures, self._ids = Failures(), set[str]()

    def __call__(self, row: Row) -> Example | str:
        """The example of a row, or the reason why it is left out: the same one for all that cannot be read."""
        self.failures.rows += 1
        try:
            return self._checked(row)
        except RowError as error:
            self.failures.add(error.place, error.received)
            wrong, place = next(iter(self.failures.examples.items()))
            return f"cannot be read, such as {place}: {wrong}"

    def require_few(self, source: str, table: str, files: str) -> None:
        """Refuse a table of which more than a few rows could not be read.

        Raises:
            DataError: says how many, shows some, and names the other ways to the rows; `files` may be none.
        """
        otherwise = f", or set data.root=FOLDER to a folder that holds {files}" if files else ""
        if self.failures.too_many:
            raise DataError(
                f"{source}: {self.failures.failed:,} of {self.failures.rows:,} rows cannot be read: {self.failures}. "
                f"Of a table of the hub {LIMIT} may be left out; this one may have changed since its reader was "
                f"written. Read another commit with data.revisions=[{table}@COMMIT]{otherwise}"
            )

    def _checked(self, row: Row) -> Example | str:
        found = self.parse(row)
        if isinstance(found, str):
            return found
        if extract(self.answer_rule, found.answer) is None:
            raise row.broken(f"the rule '{self.answer_rule}' cannot read the answer {found.answer!r:.60}", "it must")
        if found.id in self._ids:
            raise row.broken(f"another row is named '{found.id}'", "ids differ")
        self._ids.add(found.id)
        return found
