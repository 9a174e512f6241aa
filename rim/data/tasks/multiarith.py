"""MultiArith: word problems of several operations.

Roy and Roth, EMNLP 2015, "Solving General Arithmetic Word Problems"; `MultiArith.json` as in
github.com/kojima-takeshi188/zero_shot_cot, `dataset/MultiArith/`; no licence stated. All 600 rows are a test set; the
hub has them as 420 and 180, which are read together. Answers are whole numbers.

A row is `{"iIndex", "sQuestion", "lEquations": ["X=((8.0+5.0)*2.0)"], "lSolutions": [26.0]}`; its equation is its one
step, in the notation of GSM8K, unless it does not give the solution. Rows of the hub are `{"question", "final_ans"}`
and have no equation.
"""

from rim.data import hub
from rim.data.example import Example
from rim.data.published import Published, Row, Source
from rim.data.steps import number_text, only_step

HOME = "https://github.com/kojima-takeshi188/zero_shot_cot"


def parse(row: Row) -> Example:
    """The example of a row of the file or of the hub."""
    if isinstance(row.values, dict) and "final_ans" in row.values:
        values = row.check({"question": str, "final_ans": str})
        return row.example(values["question"], (), values["final_ans"])
    values = row.check({"sQuestion": str, "lEquations": list, "lSolutions": list})
    if len(values["lSolutions"]) != 1 or len(values["lEquations"]) != 1:
        raise row.broken(f"'lSolutions' is {values['lSolutions']!r:.60}", "a row has one equation and one solution")
    try:
        answer = number_text(values["lSolutions"][0])
    except (ArithmeticError, ValueError):
        raise row.broken(f"'lSolutions' is {values['lSolutions']!r:.60}", "a solution is a number") from None
    steps = only_step(row, row.texts("lEquations")[0].split("=", 1)[-1], answer)
    return row.example(values["sQuestion"], steps, answer)


TABLES = tuple(hub.Table("ChilleD/MultiArith", None, split) for split in ("train", "test"))
SOURCES = {"test": Source(("multiarith/MultiArith.json",), TABLES, HOME)}
TASK = Published("multiarith", SOURCES, ("test",), "integer", parse, ("equations", "results")).task()
