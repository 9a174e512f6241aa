"""GSM8K-Aug: GSM8K with 378,147 more training rows, written by GPT-4, in the line format `question||steps #### answer`.

Deng et al., 2023, "Implicit Chain of Thought Reasoning via Knowledge Distillation";
github.com/da03/implicit_chain_of_thought, commit 51027999; no licence there, GSM8K's is MIT. Train 385,620,
validation 500 (of GSM8K's training rows), test 1,319 (GSM8K's); answers graded as GSM8K's.

The steps are equations `<<48/2=24>>` with spaces between them. Their sentences are another data set
(`whynlp/gsm8k-aug-nl`, locally `gsm8k_aug_nl/`), read for `data.steps=sentences`; where no such file is there, the
steps of the file that is there are taken as they are written.
"""

import re

from rim.data import files, hub
from rim.data.example import MARK, Example
from rim.data.published import Published, Row, Source
from rim.data.steps import WRITTEN, in_form, split_sentences

BETWEEN_EQUATIONS = re.compile(r"(?<=>>)\s*(?=<<)")
FILES = {"train": "train.txt", "validation": "valid.txt", "test": "test.txt"}
ORIGINAL_ROWS = "; data.train=gsm8k/train trains on the original rows of GSM8K instead"


def parse(row: Row) -> Example:
    """The example of a line of a file, or of a row of the hub, which is `{"question", "steps": [...], "answer"}`."""
    if isinstance(row.values, str):
        question, chain = row.split_once(row.values, "||")
        chain, answer = row.split_once(chain, MARK)
        steps = BETWEEN_EQUATIONS.split(chain) if "<<" in chain else split_sentences(chain)
        return row.example(question, in_form(steps, row), answer)
    values = row.check({"question": str, "steps": list, "answer": str})
    return row.example(values["question"], in_form(row.texts("steps"), row), values["answer"])


def _source(split: str) -> Source:
    plain = (f"gsm8k_aug/{FILES[split]}", f"gsm8k_icot/{FILES[split]}")
    otherwise = ORIGINAL_ROWS if split == "train" else ""
    sentences = (hub.Table("whynlp/gsm8k-aug-nl", None, split),)
    forms = {"sentences": Source((f"gsm8k_aug_nl/{FILES[split]}", *plain), sentences, otherwise=otherwise)}
    return Source(plain, (hub.Table("whynlp/gsm8k-aug", None, split),), otherwise=otherwise, forms=forms)


SOURCES = {split: _source(split) for split in FILES}
TASK = Published("gsm8k_aug", SOURCES, ("test",), "integer", parse, WRITTEN, files.lines).task()
