"""MATH: competition mathematics with solutions in LaTeX.

Hendrycks et al., NeurIPS 2021, "Measuring Mathematical Problem Solving"; github.com/hendrycks/math; MIT. Train 7,500,
test 5,000; answers compared as LaTeX (`modeling/math_equivalence.py`). MATH-500 is a part of test.

A problem is `{"problem", "level", "type", "solution"}`. The publisher has one file for each, in a folder for each
subject (`math/train/algebra/1.json`, ...); a file `math/train.jsonl` with a row on every line is read as well. The
answer is the last `\\boxed{...}` of the solution, and its sentences are the steps; a solution without a box is left
out and counted. An answer is read as one line: LaTeX has no other line ends than `\\\\`.
"""

from pathlib import Path

from rim.data import files, hub
from rim.data.answers.stated import boxed
from rim.data.errors import DataError
from rim.data.example import Example
from rim.data.latex import sentences
from rim.data.published import Published, Row, Rows, Source

HOME = "https://github.com/hendrycks/math"
TABLE = "DigitalLearningGmbH/MATH-lighteval"
REVISION = "f06834690385b29df31ccc717250746a3ba0322b"
NO_BOX = "no \\boxed{...} in the solution"


def problems(path: Path) -> Rows:
    """The rows of a file, or of a folder: subjects by name, problems by number.

    Raises:
        DataError: a file that is not JSON, or a folder without any.
    """
    if not path.is_dir():
        yield from files.records(path)
        return
    found = sorted(path.rglob("*.json"), key=lambda file: (file.parent.name, len(file.stem), file.stem))
    if not found:
        raise DataError(f"{path} holds no problems: it has a folder for each subject. Copy the folder again")
    for file in found:
        place = f"problem {file.relative_to(path).as_posix()}"
        yield place, files.parsed(files.decoded(file), path, place, "a problem is one object", "copy it again")


def parse(row: Row) -> Example | str:
    """The example of a row."""
    values = row.check({"problem": str, "solution": str})
    answer = boxed(values["solution"])
    if not answer or not answer.strip():
        return NO_BOX
    return row.example(values["problem"], sentences(values["solution"]), " ".join(answer.split()))


SOURCES = {
    split: Source((f"math/{split}.jsonl", f"math/{split}"), (hub.Table(TABLE, None, split, REVISION),), HOME)
    for split in ("train", "test")
}
TASK = Published("math", SOURCES, ("test",), "latex", parse, ("sentences",), problems).task()
