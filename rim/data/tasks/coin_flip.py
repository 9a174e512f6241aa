"""Coin flip: people flip a coin or do not; is it still heads up?

Wei et al., 2022; this file is that of Kojima et al., NeurIPS 2022, github.com/kojima-takeshi188/zero_shot_cot,
`dataset/coin_flip/coin_flip.json`; no licence stated, synthetic. All 500 rows are a test set. Answers are yes and no
(`utils.py`, `answer_cleansing`). The sets of that name on the hub have other rows and are not read.

A row is `{"question", "answer"}` under `examples`. There are no steps.
"""

from functools import partial

from rim.data.example import Example
from rim.data.files import clean, records
from rim.data.published import Published, Row, Source

HOME = "https://github.com/kojima-takeshi188/zero_shot_cot"


def parse(row: Row) -> Example:
    """The example of a row."""
    values = row.check({"question": str, "answer": str})
    answer = clean(values["answer"]).lower()
    if answer not in ("yes", "no"):
        raise row.broken(f"'answer' is {values['answer']!r:.60}", "an answer is yes or no")
    return row.example(values["question"], (), answer)


SOURCES = {"test": Source(("coin_flip/coin_flip.json",), home=HOME)}
TASK = Published("coin_flip", SOURCES, ("test",), "yes_no", parse, records=partial(records, key="examples")).task()
