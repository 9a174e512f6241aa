"""Reading text files row by row; whatever is wrong is named with its file and line."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rim.config import Data
from rim.data.example import DataError


def find(config: Data, candidates: Sequence[str], source: str, otherwise: str = "") -> Path:
    """The first of `candidates`, paths below `data.root`, that is a file.

    Raises:
        DataError: none is there; names the folder, the files looked for, and `otherwise`, another way out.
    """
    root = Path(config.root or ".")
    for candidate in candidates:
        if (root / candidate).is_file():
            return root / candidate
    looked = " or ".join(str(root / candidate) for candidate in candidates)
    raise DataError(
        f"{source}: no file {looked}. Put it there, set data.root to the folder that holds it, or set "
        f"data.root=null to read from the Hugging Face hub{otherwise}"
    )


def digest(path: Path) -> str:
    """sha256 of the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Line numbers, from 1, and lines without their ends. Splits on `\\n` alone; a byte order mark and `\\r\\n` pass.

    Raises:
        DataError: the file is empty, not UTF-8, or has an empty line before its end.
    """
    blank = 0
    number = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            line = _decode(raw, path, number).rstrip("\r\n")
            if blank and line.strip():
                raise broken(path, blank, "the line is empty", "every line is a row", "delete the empty line")
            if line.strip():
                yield number, line
            else:
                blank = blank or number
    if number == 0 or blank == 1:
        raise DataError(f"{path} is empty: a data file has a row on every line. Copy the file again")


def rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Line numbers and values of a JSON-lines file; `check` tells whether a value is a row.

    Raises:
        DataError: a line that is not JSON.
    """
    for number, line in lines(path):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            reason = f"not valid JSON ({error.msg} at column {error.colno})"
            raise broken(path, number, reason, "every line is one JSON object", "mend or delete the line") from None
        yield number, row


def check(row: object, fields: dict[str, type], where: object, number: int) -> dict[str, Any]:
    """`row` if it is an object with `fields` of those types; texts must not be empty.

    Raises:
        DataError: names `where` (file or data set), the line and the field.
    """
    rule = "a row has the fields " + ", ".join(f"{name} ({kind.__name__})" for name, kind in fields.items())
    if not isinstance(row, dict):
        raise broken(where, number, f"{type(row).__name__} instead of an object", rule, "mend or delete the row")
    for name, kind in fields.items():
        if name not in row:
            raise broken(where, number, f"no field '{name}' among {', '.join(row)}", rule, "mend or delete the row")
        value = row[name]
        if not isinstance(value, kind) or (isinstance(value, str) and not value.strip()):
            raise broken(where, number, f"'{name}' is {value!r:.60}", rule, "mend or delete the row")
    return row


def split_once(text: str, mark: str, where: object, number: int) -> tuple[str, str]:
    """The texts before and after `mark`, stripped; it must stand there exactly once."""
    count = text.count(mark)
    if count != 1:
        found = f"{count or 'no'} '{mark}' in {text!r:.80}"
        raise broken(where, number, found, f"'{mark}' stands exactly once in a row", "mend or delete the row")
    before, after = text.split(mark)
    return before.strip(), after.strip()


def broken(where: object, number: int, received: str, rule: str, way_out: str) -> DataError:
    """The error of one row."""
    return DataError(f"{where}, line {number}: {received}; {rule}. Way out: {way_out}")


def _decode(raw: bytes, path: Path, number: int) -> str:
    try:
        return raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        reason = f"byte {error.start + 1} is not UTF-8"
        raise broken(path, number, reason, "data files are UTF-8", "save the file as UTF-8") from None
