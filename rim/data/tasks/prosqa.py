"""ProsQA: which of two concepts an entity belongs to, by a path through a graph of made-up concepts.

Hao et al., 2024, "Training Large Language Models to Reason in a Continuous Latent Space";
github.com/facebookresearch/coconut, commit 27273cb8, `data/`; MIT. Train 17,886, validation 300, test 500; an answer
is a sentence, compared as a text (`run.py`).

A row has `question`, `steps` (3 to 6 sentences), `answer`, and the graph, which is not used.
"""

from rim.data.example import Example
from rim.data.published import Published, Row, Source

HOME = "https://github.com/facebookresearch/coconut"


def parse(row: Row) -> Example:
    """The example of a row."""
    values = row.check({"question": str, "steps": list, "answer": str})
    return row.example(values["question"], row.texts("steps"), values["answer"])


FILES = {"train": "prosqa_train.json", "validation": "prosqa_valid.json", "test": "prosqa_test.json"}
SOURCES = {split: Source((f"prosqa/{file}",), home=HOME) for split, file in FILES.items()}
TASK = Published("prosqa", SOURCES, ("test",), "sentence", parse, ("sentences",)).task()
