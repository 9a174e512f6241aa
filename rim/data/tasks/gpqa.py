"""GPQA: questions of experts with four options, hard to look up.

Rein et al., 2023; github.com/idavidrein/gpqa, on the hub as Idavidrein/gpqa, where its terms have to be accepted; CC
BY 4.0. Splits diamond 198, main 448, extended 546, each contained in the next and all test sets; accuracy of the
letter. The authors ask that no row be shown in plain text on the internet, and this repository holds none.

A row has the columns `Question`, `Correct Answer`, `Incorrect Answer 1` to `3`, `Record ID` and others. The right
option is published first, so options are shuffled: they stand in the order of sha256("gpqa RULE RECORD PLACE"), where
RULE is the number below, RECORD the record's ID (its question where there is none) and PLACE the option's number from
0. Every split and every run has the same order. They have no labels: `C. elegans` is a text.
"""

from hashlib import sha256

from rim.data import files, hub
from rim.data.choices import LETTERS, lay_out
from rim.data.example import Example
from rim.data.published import Published, Row, Source

RULE = 0
HOME = "https://github.com/idavidrein/gpqa"
REVISION = "633f5ee89ab8ad4522a9f850766b73f62147ffdd"
OPTIONS = ("Correct Answer", "Incorrect Answer 1", "Incorrect Answer 2", "Incorrect Answer 3")


def order(record: str) -> list[int]:
    """The published places of the options, in the order in which they stand."""
    return sorted(range(len(OPTIONS)), key=lambda place: sha256(f"gpqa {RULE} {record} {place}".encode()).digest())


def parse(row: Row) -> Example:
    """The example of a row."""
    values = row.check({"Question": str, **dict.fromkeys(OPTIONS, str)})
    places = order(" ".join(str(values.get("Record ID") or values["Question"]).split()))
    question = lay_out(row, values["Question"], [values[OPTIONS[place]] for place in places], labelled=False)
    return row.example(question, (), LETTERS[places.index(0)])


SOURCES = {
    split: Source(
        tuple(f"gpqa/gpqa_{split}.{ending}" for ending in ("csv", "jsonl", "json")),
        (hub.Table("Idavidrein/gpqa", f"gpqa_{split}", "train", REVISION),),
        HOME,
    )
    for split in ("diamond", "main", "extended")
}
TASK = Published("gpqa", SOURCES, tuple(SOURCES), "choice", parse, records=files.table).task()
