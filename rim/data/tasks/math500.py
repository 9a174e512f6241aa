"""MATH-500: the 500 problems of MATH's test set that are held out in "Let's Verify Step by Step".

Lightman et al., 2023; github.com/openai/prm800k, on the hub as HuggingFaceH4/MATH-500; MIT. Test 500; answers
compared as LaTeX (`prm800k/grading/grader.py`).

A row is `{"problem", "solution", "answer", "subject", "level", "unique_id"}`; the steps are the sentences of the
solution.
"""

from rim.data import hub
from rim.data.example import Example
from rim.data.latex import sentences
from rim.data.published import Published, Row, Source

REVISION = "6e4ed1a2a79af7d8630a6b768ec859cb5af4d3be"


def parse(row: Row) -> Example:
    """The example of a row."""
    values = row.check({"problem": str, "solution": str, "answer": str})
    return row.example(values["problem"], sentences(values["solution"]), " ".join(values["answer"].split()))


TABLE = hub.Table("HuggingFaceH4/MATH-500", None, "test", REVISION)
SOURCES = {"test": Source(("math500/test.jsonl",), (TABLE,))}
TASK = Published("math500", SOURCES, ("test",), "latex", parse, ("sentences",)).task()
