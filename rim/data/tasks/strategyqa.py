"""StrategyQA: questions of yes or no whose steps are implicit in the question.

Geva et al., TACL 2021, "Did Aristotle Use a Laptop?"; github.com/eladsegal/strategyqa, commit 1ba1e974,
`data/strategyqa/`; MIT. Train 2,061 and validation 229 (the publisher's `dev.json`), which is that repository's
division of the official training set; the official test labels are not public. Accuracy of yes and no.

The steps are the sub-questions (`data.steps=decompositions`; `#1` refers to the answer of the first), or the facts
that answer them (`facts`); the two do not correspond one to one.
"""

from rim.data.example import Example
from rim.data.published import Published, Row, Source

HOME = "https://github.com/eladsegal/strategyqa"
STEPS = {"decompositions": "decomposition", "facts": "facts"}


def parse(row: Row) -> Example:
    """The example of a row."""
    field = STEPS[row.form]
    values = row.check({"question": str, "answer": bool, field: list})
    chain = [" ".join(step.split()) for step in row.texts(field)]
    return row.example(values["question"], chain, "yes" if values["answer"] else "no")


FILES = {"train": "train.json", "validation": "dev.json"}
SOURCES = {split: Source((f"strategyqa/{file}",), home=HOME) for split, file in FILES.items()}
TASK = Published("strategyqa", SOURCES, (), "yes_no", parse, tuple(STEPS)).task()
