"""Reading files row by row; whatever is wrong is named with its file and line.

Copies of data sets differ in what their text says nothing about: a byte order mark, `\\r\\n`, blank lines at the end,
an array of rows or a row on every line. All of these read alike. Lines end at `\\n` alone, so that U+2028 and U+0085
stay inside a text.
"""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rim.data.errors import DataError, RowError

OTHER_MARKS = (";", "\t", "|")
"""What programs put between columns in the place of commas."""


class RepeatedName(ValueError):
    """An object that has a name twice, of which only the last value would be read."""


def digest(path: Path) -> str:
    """sha256 of the file's bytes; of a folder, of the names and bytes of all files in it."""
    if path.is_dir():
        inside = sorted(file for file in path.rglob("*") if file.is_file())
        parts = [f"{file.relative_to(path).as_posix()} {digest(file)}" for file in inside]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def clean(text: str) -> str:
    """A text with plain line ends and without spaces around it; no-break spaces and U+2028 count as spaces there."""
    return text.replace("\r\n", "\n").strip().strip("\ufeff").strip()


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers, from 1, and lines without their ends. Splits on `\\n` alone; a byte order mark and `\\r\\n` pass.

    Raises:
        DataError: the file is empty, not UTF-8, or has an empty line before its end.
    """
    yield from _lines(decoded(path), path)


def _lines(text: str, path: Path) -> Iterator[tuple[int, str]]:
    if not text.strip():
        raise DataError(f"{path} is empty: a data file has a row on every line. Copy or write the file again")
    blank = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            blank = blank or number
        elif blank:
            raise broken(path, blank, "the line is empty", "every line is a row", "delete the empty line")
        else:
            yield number, line.rstrip("\r")


def records(path: Path, key: str = "") -> Iterator[tuple[int | str, Any]]:
    """Places and values of the rows of a JSON file: an array, an object with an array under `key`, or JSON lines.

    Raises:
        DataError: what is not JSON, or a file without rows.
    """
    text = decoded(path)
    if not (text.lstrip()[:1] == "[" or (key and f'"{key}"' in text[:200])):
        for number, line in _lines(text, path):
            yield number, parsed(line, path, number, "every line is one JSON object", "mend or delete the line")
        return
    whole = parsed(text, path, None, "the file is one JSON array of rows", "copy the file again")
    found = whole.get(key) if isinstance(whole, dict) else whole
    if not isinstance(found, list) or not found:
        inside = f" under '{key}'" if key else ""
        raise DataError(f"{path} holds no rows: it is a JSON array of rows{inside}. Copy or write the file again")
    yield from ((f"row {number}", row) for number, row in enumerate(found, start=1))


def parsed(text: str, path: Path, place: int | str | None, rule: str, way_out: str) -> Any:
    """The value of a JSON text that stands at `place` of a file; None: it is the whole file.

    Raises:
        DataError: it is not JSON, or an object in it has a name twice.
    """
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RepeatedName as error:
        rule = "an object has a name once, and only the last value would be read"
        raise broken(path, place or "a row", str(error), rule, "delete all but one") from None
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise broken(path, place or line, f"not valid JSON ({_trouble(error)})", rule, way_out) from None


def table(path: Path) -> Iterator[tuple[int | str, Any]]:
    """Places and rows of a CSV file with a line of names, or of a JSON file.

    Raises:
        DataError: the file is empty or cannot be read.
    """
    text = decoded(path)
    if text.lstrip()[:1] in ("[", "{"):
        yield from records(path)
        return
    csv.field_size_limit(2**31 - 1)  # the module's own limit is 131,072 characters
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        found = list(reader)
    except csv.Error as error:
        raise DataError(f"{path} is no CSV file: {error}. Copy or write the file again") from None
    names = reader.fieldnames or ()
    if len(names) == 1 and any(mark in names[0] for mark in OTHER_MARKS):
        rule = "columns of a CSV file are separated by commas"
        raise broken(path, 1, f"one column, {names[0]!r:.60}", rule, "save the file with commas")
    if len({*names}) < len(names):
        rule = "a column has a name of its own, and only the last would be read"
        raise broken(path, 1, _repeated(names), rule, "delete or rename all but one")
    if not found:
        raise DataError(f"{path} is empty: a data file has a row on every line. Copy or write the file again")
    for number, row in enumerate(found, start=1):
        more, less = len(row.pop(None, ())), list(row.values()).count(None)
        if more or less:
            received = f"{more} fields too many" if more else f"{less} fields too few"
            raise broken(path, f"row {number}", received, f"the first line names {len(row)}", "copy the file again")
        yield f"row {number}", row


def decoded(path: Path) -> str:
    """The whole text of a file, without a byte order mark.

    Raises:
        DataError: the file is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = path.read_bytes()[: error.start].count(b"\n") + 1
        reason = f"byte {error.start + 1} of the file is not UTF-8"
        raise broken(path, number, reason, "data files are UTF-8", "save the file as UTF-8") from None


def broken(where: object, number: int | str, received: str, rule: str, way_out: str) -> RowError:
    """The error of one row; `number` is its line, or words for its place."""
    place = number if isinstance(number, str) else f"line {number}"
    return RowError(f"{where}, {place}", received, rule, way_out)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise RepeatedName(f"{_repeated([name for name, _ in pairs])} in {found!r:.80}")
    return found


def _repeated(names: Sequence[str]) -> str:
    name, count = Counter(names).most_common(1)[0]
    return f"'{name}' stands there {count} times"


def _trouble(error: Exception) -> str:
    """Why a text is no JSON that can be read."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    return "too deep" if isinstance(error, RecursionError) else "a number too long"
