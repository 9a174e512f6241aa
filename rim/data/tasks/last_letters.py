"""Last letter concatenation: the last letters of four names, joined.

Wei et al., 2022; this file is that of Kojima et al., NeurIPS 2022, github.com/kojima-takeshi188/zero_shot_cot, commit
5ef330fc, `dataset/last_letters/last_letters.json`; no licence stated, synthetic. All 500 rows are a test set; the hub
has them as 350 and 150, which are read together. Answers are letters (`utils.py`, `answer_cleansing`).

A row is `{"question", "answer"}` under `examples`. There are no steps. In 15 rows a name has two words, and its
answer has a letter for the second alone.
"""

from functools import partial

from rim.data import hub
from rim.data.example import Example
from rim.data.files import records
from rim.data.published import Published, Row, Source

HOME = "https://github.com/kojima-takeshi188/zero_shot_cot"


def parse(row: Row) -> Example:
    """The example of a row."""
    values = row.check({"question": str, "answer": str})
    return row.example(values["question"], (), values["answer"])


TABLES = tuple(hub.Table("ChilleD/LastLetterConcat", None, split) for split in ("train", "test"))
SOURCES = {"test": Source(("last_letters/last_letters.json",), TABLES, HOME)}
TASK = Published("last_letters", SOURCES, ("test",), "letters", parse, records=partial(records, key="examples")).task()
