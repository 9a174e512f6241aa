"""SVAMP: elementary word problems, varied so that shallow rules fail.

Patel et al., NAACL 2021; github.com/arkilpatel/SVAMP, commit 689d7cca, `SVAMP.json`; MIT. All 1,000 rows are a test
set, as the publisher has it; the hub has them as 700 and 300, which are read together. Answers are numbers.

A row is `{"ID", "Body", "Question", "Equation": "( 8.0 - 3.0 )", "Answer": 5.0, "Type"}`; its equation is its one
step, in the notation of GSM8K, unless it does not give the answer, as `( 4.0 - 2.0 ) + 3.0` of chal-680, whose answer
is 1. Rows are named by the publisher's ID, since the two copies have different orders.
"""

from rim.data import hub
from rim.data.example import Example
from rim.data.files import clean
from rim.data.published import Published, Row, Source
from rim.data.steps import number_text, only_step

HOME = "https://github.com/arkilpatel/SVAMP"
REVISION = "5e0bf1e5e7c0e9c4bc39180d224f41f3f801b7ef"


def parse(row: Row) -> Example:
    """The example of a row; the hub writes the answer as a text."""
    values = row.check({"Body": str, "Question": str, "Equation": str, "ID": str, "Answer": (float, int, str)})
    try:
        answer = number_text(float(values["Answer"]))
    except ValueError:
        raise row.broken(f"'Answer' is {values['Answer']!r:.60}", "an answer is a number") from None
    steps = only_step(row, values["Equation"], answer)
    return row.example(f"{clean(values['Body'])} {clean(values['Question'])}", steps, answer, values["ID"].strip())


TABLES = tuple(hub.Table("ChilleD/SVAMP", None, split, REVISION) for split in ("train", "test"))
SOURCES = {"test": Source(("svamp/SVAMP.json",), TABLES, HOME)}
TASK = Published("svamp", SOURCES, ("test",), "number", parse, ("equations", "results")).task()
