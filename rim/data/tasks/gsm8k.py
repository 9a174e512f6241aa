"""GSM8K in the publisher's form: school mathematics in words.

Cobbe et al., 2021, "Training Verifiers to Solve Math Word Problems"; github.com/openai/grade-school-math, commit
3101c7d5; MIT. Train 7,473, test 1,319; answers graded as the publisher does (`grade_school_math/dataset.py`,
`extract_answer`).

A row is `{"question": ..., "answer": ...}`; the answer is one reasoning step per line, with calculator annotations
`<<48/2=24>>` before the numbers that they give, and ends in `#### ` and the final number.
"""

from rim.data import hub
from rim.data.example import MARK, Example
from rim.data.published import Published, Row, Source
from rim.data.steps import ANNOTATION, WRITTEN, annotations, in_form

REVISION = "740312add88f781978c0658806c59bc2815b9866"


def steps(rationale: str, form: str) -> tuple[str, ...]:
    """The steps of a rationale: its lines without annotations (`sentences`), or its annotations in order (else).

    The number after an annotation stays; empty lines are no steps.
    """
    if form != "sentences":
        return annotations(rationale)
    lines = (" ".join(ANNOTATION.sub("", line).split()) for line in rationale.split("\n"))
    return tuple(line for line in lines if line)


def parse(row: Row) -> Example:
    """The example of a row."""
    values = row.check({"question": str, "answer": str})
    rationale, answer = row.split_once(values["answer"], MARK)
    return row.example(values["question"], in_form(steps(rationale, row.form), row), answer)


SOURCES = {
    split: Source((f"gsm8k/{split}.jsonl",), (hub.Table("openai/gsm8k", "main", split, REVISION),))
    for split in ("train", "test")
}
TASK = Published("gsm8k", SOURCES, ("test",), "integer", parse, WRITTEN).task()
