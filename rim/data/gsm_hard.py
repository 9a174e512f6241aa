"""GSM-Hard (Gao et al., 2022; github.com/reasoning-machines/pal): GSM8K test questions with larger numbers.

A row is `{"input": ..., "code": ..., "target": float}`. It has no steps. Its full file has 1,319 rows; a file named
`gsmhardv2.even.jsonl` holds those of even index, and ids count rows of the full file, so that scores of both meet.
"""

from collections.abc import Iterable
from typing import Any

from rim.config import Data
from rim.data import files, hub
from rim.data.example import Example, Reading, Task

EVEN = "gsm_hard/gsmhardv2.even.jsonl"
CANDIDATES = ("gsm_hard/gsmhardv2.jsonl", EVEN)
TABLE = hub.Table("reasoning-machines/gsm-hard", None, "train", CANDIDATES)
FIELDS: dict[str, type] = {"input": str, "target": float}


def _rows(config: Data) -> tuple[object, int, Iterable[tuple[int, dict[str, Any]]]]:
    if config.root is None:
        return TABLE.name, 1, enumerate(hub.rows(TABLE), start=1)
    path = files.find(config, CANDIDATES, "gsm_hard/test")
    return path, 2 if path.name == EVEN.split("/")[1] else 1, files.rows(path)


def _read(split: str, config: Data) -> Reading:
    where, stride, rows = _rows(config)
    examples = []
    for number, row in rows:
        files.check(row, FIELDS, where, number)
        name = f"gsm_hard/{split}/{(number - 1) * stride}"
        examples.append(Example(name, row["input"].strip(), (), repr(row["target"])))
    return Reading(examples, read=len(examples))


def _fingerprint(split: str, config: Data) -> str:
    if config.root is None:
        return hub.fingerprint(TABLE)
    return files.digest(files.find(config, CANDIDATES, f"gsm_hard/{split}"))


TASK = Task("gsm_hard", ("test",), ("test",), "number", _read, _fingerprint)
