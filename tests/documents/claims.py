"""Reads docs/claims.md: its tables, and the numbers of committed records that its links name.

A number is a link, `[0.571 (0.514 to 0.622)][name]`. A line below names the record and the way to the number in it:
`[name]: ../experiments/x/results.json "entries / entry=rim / accuracy"`. In a list `field=value` chooses items (several
conditions are separated by commas), and `*` takes all.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rim.report.proportion import Proportion

FIGURE = re.compile(r"\[([^\]]+)\]\[([^\]]+)\]")
DEFINITION = re.compile(r'^\[([^\]]+)\]: (\S+) "(.+)"$', re.MULTILINE)
NUMBER = re.compile(r"[+−-]?\d[\d,]*(?:\.\d+)?")
INTERVALS = (("value", "low", "high"), ("median", "p10", "p90"), ("accuracy", "low", "high"))
"""How records name a figure with its interval."""
MIB, TERA = 2**20, 1e12
UNITS = {"memory": MIB, "flops": TERA}
"""What a number is divided by where it is written, by the name of its field."""


def rows(text: str) -> list[list[str]]:
    """The cells of every table's rows, without headers."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    rules = [index for index, row in enumerate(cells) if all(re.fullmatch(r":?-+:?", cell) for cell in row)]
    headers = {index - 1 for index in rules}
    return [row for index, row in enumerate(cells) if index not in headers and index not in rules]


def wrong(cell: str, text: str, folder: Path) -> list[str]:
    """The figures of a cell that differ from their records.

    Args:
        text: of the page, with the lines that name the records.
        folder: of the page.

    Raises:
        LookupError: a figure without a record, or a record without such a place.
    """
    definitions = {name: (folder / file, way) for name, file, way in DEFINITION.findall(text)}
    found = [differs(written, *definitions[name]) for written, name in FIGURE.findall(cell)]
    return [difference for difference in found if difference]


def differs(written: str, record: Path, way: str) -> str:
    """How a written figure differs from its record; empty where it does not.

    Raises:
        LookupError: the record has no such place.
    """
    numbers = [number.replace("−", "-").replace(",", "") for number in NUMBER.findall(written)]
    held = list(found(json.loads(record.read_text(encoding="utf-8")), way))
    decimals = [len(number.partition(".")[2]) for number in numbers]
    there = [f"{value:.{places}f}" for value, places in zip(held, decimals, strict=False)]
    same = len(held) == len(numbers) and [number.lstrip("+") for number in numbers] == there
    return "" if same else f"'{written}' is written, and {record.parent.name} holds {held} at '{way}'"


def found(record: Any, way: str) -> Iterator[float]:
    """The numbers at a place of a record, in their order."""
    steps = way.split(" / ")
    places = [record]
    for step in steps:
        places = [each for place in places for each in _chosen(place, step)]
    for place in places:
        for number in _numbers(place):
            yield number / UNITS.get(steps[-1], 1)


def _chosen(place: Any, step: str) -> list[Any]:
    if isinstance(place, dict):
        return [place[step]]
    conditions = [] if step == "*" else re.split(r", (?=[\w.]+=)", step)
    kept = [item for item in place if all(_is(item, *each.split("=", 1)) for each in conditions)]
    if not kept:
        raise LookupError(f"nothing in the list is {step}")
    return kept


def _is(item: dict[str, Any], field: str, value: str) -> bool:
    """Whether a field, or one within it (`case.entry`), has a value."""
    if field in item:
        return str(item[field]) == value
    outer, _, inner = field.partition(".")
    return isinstance(item.get(outer), dict) and _is(item[outer], inner, value)


def _numbers(place: Any) -> list[float]:
    """Of a figure with its interval all three; Wilson's interval where a record has counts alone."""
    if isinstance(place, dict):
        for names in INTERVALS:
            if place.keys() >= {*names}:
                return [place[name] for name in names]
        share = Proportion(place["correct"], place["count"])
        return [share.value, *share.interval(0.95)]
    return list(place) if isinstance(place, list) else [place]
