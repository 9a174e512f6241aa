"""LogiQA 1.0: multiple choice about a text, from examinations of civil servants.

Liu et al., IJCAI 2020; github.com/lgw863/LogiQA-dataset, commit ff6c4cbc; no licence stated, for research. Train
7,376, validation 651 (the publisher's `Eval.txt`), test 651; accuracy of the letter.

A file has eight lines for each row: an empty one, the right letter, the text, the question and four options. Options
are known by their places, since some of their labels are missing or stand inside the sentence. There are no steps.
"""

from collections.abc import Iterator
from pathlib import Path

from rim.data import files, hub
from rim.data.choices import lay_out, letter
from rim.data.errors import DataError
from rim.data.example import Example
from rim.data.published import Published, Row, Source

LINES = 8
RULE = "a row is an empty line, the right letter, the text, the question and four options, a line each"
HOME = "https://github.com/lgw863/LogiQA-dataset"
PARQUET = "refs/convert/parquet"
"""The hub's own conversion: the repository holds a loading script, which is no longer run."""


def blocks(path: Path) -> Iterator[tuple[int | str, object]]:
    """The rows of a file: the number of their first line, and their values.

    Raises:
        DataError: the file does not fall into rows of eight lines.
    """
    text = files.decoded(path)
    if not text.strip():
        raise DataError(f"{path} is empty: {RULE}. Copy or write the file again")
    lines = [line.rstrip("\r") for line in text.rstrip().split("\n")]
    if lines[0].strip():
        lines.insert(0, "")  # copies without spaces around them have lost the first, empty line
    for start in range(0, len(lines), LINES):
        blank, *block = lines[start : start + LINES]
        empty = sum(not line.strip() for line in block)
        if blank.strip() or len(block) < LINES - 1 or empty:
            received = f"{len(block) + 1 - empty} lines from here are {blank!r:.40} and more"
            raise files.broken(path, start + 1, received, RULE, "mend or delete the row")
        right, context, query, *options = block
        yield start + 1, {"correct_option": right, "context": context, "query": query, "options": options}


def parse(row: Row) -> Example:
    """The example of a row of a file or of the hub."""
    values = row.check({"context": str, "query": str, "options": list, "correct_option": (int, str)})
    question = lay_out(row, f"{files.clean(values['context'])}\n{values['query']}", row.texts("options"))
    return row.example(question, (), letter(row, values["correct_option"], len(values["options"])))


FILES = {"train": "Train.txt", "validation": "Eval.txt", "test": "Test.txt"}
SOURCES = {
    split: Source((f"logiqa/{file}",), (hub.Table("lucasmccabe/logiqa", None, split, PARQUET),), HOME)
    for split, file in FILES.items()
}
TASK = Published("logiqa", SOURCES, ("test",), "choice", parse, records=blocks).task()
