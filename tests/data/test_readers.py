"""The readers on the real files: which file it is, how many rows and steps, and every text of every example.

The second digest of a file is that of all that was read from it. Where it changes, a reader has changed: look at what
it reads now, put the new digest here, and another `VERSION` in `rim/data/encode.py`, so that encoded data are made
anew.
"""

import json
import re
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest

from rim.data.example import Example, Reading
from rim.settings import Data
from tests.data.reading import read

FILES = {
    "gsm8k/train": ("gsm8k/train.jsonl", "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465"),
    "gsm8k/test": ("gsm8k/test.jsonl", "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14"),
    "gsm8k_aug/validation": (
        "gsm8k_icot/valid.txt",
        "04f9bddfe8ac4846571b1e2b612b289c95770b5012fdb34cc36a597b041afb87",
    ),
    "gsm8k_aug/test": ("gsm8k_icot/test.txt", "e464efa2713fbcf423bdbfb482c543a6a086188c3d97c294b1d19a70c2a515e8"),
    "gsm_hard/test": (
        "gsm_hard/gsmhardv2.even.jsonl",
        "8945f0dcde8a53227de3241f46782280904b483f04fd9d27f66915faaecdf97c",
    ),
    "prosqa/validation": (
        "prosqa/prosqa_valid.json",
        "c74e0de24f1e90ec48b1a993e6458a7be4caeef3928f5104e3c2e45d689a5249",
    ),
    "prosqa/test": ("prosqa/prosqa_test.json", "82ddc0afe6ee30eb31bb16fa208e293e55278a20fa987098d48519cae7e12680"),
    "strategyqa/train": ("strategyqa/train.json", "0f72560b8a6fad3db847d2f1a7524fb087297843bb45a8d3245ffd68cbe0de12"),
    "strategyqa/validation": (
        "strategyqa/dev.json",
        "0d94842ffb022db8fd5ecd2168b785d5cf67f6faf64f665476bad544a3eb9dde",
    ),
    "aqua/validation": ("aqua/dev.json", "4a52301d8a49ae0b286f8e697f9c5da1b109b247b825b47b4c6de34312dceec5"),
    "aqua/test": ("aqua/test.json", "de41581881ef95c5588c44ddc701c77fd480839241dd422a0d181262af24520c"),
    "logiqa/validation": ("logiqa/Eval.txt", "4c49e6753b7262c001506b9151135abf722247035ab075dad93acdea5789c01f"),
    "last_letters/test": (
        "last_letters/last_letters.json",
        "60e8d092d0a6423d3256e87e0c249b69aefea4cd27985082095fa4e93931fb02",
    ),
}
"""The publisher's file of a source, and its sha256."""

READ = [
    ("gsm8k/train", "equations", 7473, 23716, "1874d17b74f0dac1"),
    ("gsm8k/train", "sentences", 7473, 26720, "9773acab80491fdd"),
    ("gsm8k/train", "results", 7473, 23716, "5ca2d8a946fe232a"),
    ("gsm8k/test", "equations", 1319, 4282, "7e052acc7976ef56"),
    ("gsm8k_aug/validation", "equations", 500, 1573, "f09b2188227c9906"),
    ("gsm8k_aug/test", "equations", 1319, 4282, "b8996cb33805cebd"),
    ("gsm_hard/test", "equations", 660, 0, "3a1244ba494f8da6"),
    ("prosqa/validation", "sentences", 300, 1126, "b13f410d69df85d6"),
    ("prosqa/test", "sentences", 500, 1891, "f46372e5e254fe4b"),
    ("strategyqa/train", "decompositions", 2061, 6046, "7011218235645a2a"),
    ("strategyqa/train", "facts", 2061, 5526, "fb2738bf09886d61"),
    ("strategyqa/validation", "decompositions", 229, 674, "6bdcea33e68d7879"),
    ("strategyqa/validation", "facts", 229, 594, "62ba620da5882a6a"),
    ("aqua/validation", "sentences", 254, 1078, "ec4133978a11f4d3"),
    ("aqua/test", "sentences", 254, 1054, "a031c498acd437d1"),
    ("logiqa/validation", "equations", 651, 0, "550311e4335cbc93"),
    ("last_letters/test", "equations", 500, 0, "3060dba6e6b3dca1"),
]
"""A source, the form of its steps, rows, steps, and the beginning of the sha256 of all examples."""


def digest(examples: list[Example]) -> str:
    rows = (json.dumps([example.id, example.question, example.steps, example.answer]) for example in examples)
    return sha256("\n".join(rows).encode()).hexdigest()


def opened(source: str, root: Path, form: str = "equations") -> Reading:
    return read(source, Data(root=str(root), steps=form))  # type: ignore[arg-type]


@pytest.mark.parametrize(("source", "form", "rows", "steps", "texts"), READ)
def test_all_of_a_real_file_is_read(source: str, form: str, rows: int, steps: int, texts: str, data_root: Path) -> None:
    file, expected = FILES[source]
    reading = opened(source, data_root, form)
    assert reading.origin == f"{data_root / file}, sha256 {expected}"
    assert (reading.read, len(reading.examples), reading.dropped) == (rows, rows, {})
    assert sum(len(example.steps) for example in reading.examples) == steps
    assert len({example.id for example in reading.examples}) == rows
    assert digest(reading.examples)[:16] == texts


def test_strategyqa_has_two_kinds_of_steps(data_root: Path) -> None:
    sub_questions = opened("strategyqa/train", data_root, "decompositions").examples
    facts = opened("strategyqa/train", data_root, "facts").examples
    question = "Are more people today related to Genghis Khan than Julius Caesar?"
    steps = ("How many kids did Julius Caesar have?", "How many kids did Genghis Khan have?", "Is #2 greater than #1?")
    assert sub_questions[0] == Example("strategyqa/train/0", question, steps, "yes")
    assert facts[0].steps[0] == "Julius Caesar had three children." and facts[0].question == question
    assert facts[11].steps[2] == "biomolecules are comprised of atoms.", "a space at its end is gone"
    assert Counter(example.answer for example in facts) == {"no": 1097, "yes": 964}


def test_prosqa_ends_its_steps_in_the_concept_of_the_answer(data_root: Path) -> None:
    examples = opened("prosqa/test", data_root, "sentences").examples
    assert examples[0].steps == ("Sally is a scrompus.", "Every scrompus is a rempus.", "Every rempus is a sterpus.")
    assert examples[0].answer == "Sally is a sterpus."
    assert Counter(len(example.steps) for example in examples) == {3: 202, 4: 217, 5: 69, 6: 12}
    assert all(example.steps[-1].split()[-1] == example.answer.split()[-1] for example in examples)


def test_aqua_lays_options_out_and_hides_the_letter(data_root: Path) -> None:
    both = [example for split in ("validation", "test") for example in opened(f"aqua/{split}", data_root).examples]
    options = "A. 32400\nB. 6000\nC. 600\nD. 60000\nE. 10"
    assert both[0].question.endswith(f"[1km = 0.6 miles]\n{options}") and both[0].answer == "A"
    assert both[0].steps[-2:] == ("In 1 hour there are 60 minutes", "Speed in miles/minutes = 60 * 540 = 32400")
    assert both[1].steps[-1] == "∴ (x + 750) / 240 = x / 60 ⇔ x = 250 m.", "the rest of its line was `Answer D`"
    assert all(re.search(r"\nA\. .+\nB\. .+\nC\. .+\nD\. .+\nE\. .+$", example.question) for example in both)
    named = re.compile(r"(?i:answer|ans|option|choice)\W+(?:(?i:is)\W+)?[A-E]\b\W*$")
    assert not [example.id for example in both if example.steps and named.search(example.steps[-1])]
    bare = [example.id for example in both if re.search(rf"\b{example.answer}\W*$", example.steps[-1])]
    assert bare == [], "461 of 508 rationales end in the right letter"
    assert Counter(example.answer for example in both[:254]) == {"A": 69, "B": 66, "C": 43, "D": 50, "E": 26}


def test_logiqa_knows_options_by_their_places(data_root: Path) -> None:
    examples = opened("logiqa/validation", data_root).examples
    assert Counter(example.answer for example in examples) == {"A": 109, "B": 122, "C": 150, "D": 270}
    assert len({example.question.split("\n")[0] for example in examples}) == 619
    assert all(len(example.question.split("\n")) == 6 and not example.steps for example in examples)

    def option(row: int, place: int) -> str:
        return examples[row].question.split("\n")[2 + place]

    assert option(0, 3).startswith("D. The blood pressure of Yoruba people")
    assert option(27, 2) == "C. Most of the spirits on the C.S City market come from other cities."
    assert option(39, 3).startswith("D. The fertility rate is not directly"), "its label is a small letter"
    assert option(82, 0) == "A. In the NEC fast chess game, every Chinese Go player smokes Ashima.", "alone has a label"
    assert option(132, 2).startswith("C. The retired professional"), "its label has no point"
    assert option(138, 0) == "A. A only", "the label goes once"


def test_last_letters_keeps_the_labels_that_solvers_miss(data_root: Path) -> None:
    examples = opened("last_letters/test", data_root).examples
    question = 'Take the last letters of each words in "Whitney Erika Tj Benito" and concatenate them.'
    assert examples[0] == Example("last_letters/test/0", question, (), "yajo")
    five = [example for example in examples if len(example.question.split('"')[1].split()) == 5]
    assert len(five) == 15 and five[0].answer == "aaoa", "`Ira Paola Jose Antonio Maria` are four names"
    assert {"yaeA", "méyl"} <= {example.answer for example in examples}
