"""LogiQA 2.0, the part of multiple choice: LogiQA translated anew, with more questions.

Liu et al., 2023; github.com/csitfun/LogiQA2.0, `logiqa/DATA/LOGIQA/`; CC BY-NC-SA 4.0. Train, validation (the
publisher's `dev.txt`) and test; accuracy of the option (`logiqa/utils_mrc.py`).

A row is `{"id", "answer": 0 to 3, "text", "question", "options": [...], "type"}`, JSON lines although the file is
called `.txt`. There are no steps.
"""

from rim.data.choices import lay_out, letter
from rim.data.example import Example
from rim.data.files import clean
from rim.data.published import Published, Row, Source

HOME = "https://github.com/csitfun/LogiQA2.0"


def parse(row: Row) -> Example:
    """The example of a row."""
    values = row.check({"text": str, "question": str, "options": list, "answer": (int, str)})
    question = lay_out(row, f"{clean(values['text'])}\n{values['question']}", row.texts("options"))
    return row.example(question, (), letter(row, values["answer"], len(values["options"])))


FILES = {"train": "train.txt", "validation": "dev.txt", "test": "test.txt"}
SOURCES = {split: Source((f"logiqa2/{file}",), home=HOME) for split, file in FILES.items()}
TASK = Published("logiqa2", SOURCES, ("test",), "choice", parse).task()
