"""A few rows of every published task in its publisher's form, written for the tests, and the examples that they are.

The sets that no copy is at hand of are tested on these alone.
"""

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

from rim.data.example import Example


@dataclass(frozen=True)
class Sample:
    """A file of a source, the form that its steps are asked for in, and the examples of its rows."""

    source: str
    file: str
    form: str
    text: str
    examples: tuple[Example, ...]

    def write(self, root: Path, data: bytes | None = None) -> Path:
        """Put the file below `root`, with these bytes or its own."""
        path = root / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.text.encode() if data is None else data)
        return path


def sample(source: str, file: str, form: str, text: str, *examples: tuple[str, tuple[str, ...], str]) -> Sample:
    found = (Example(f"{source}/{row}", *example) for row, example in enumerate(examples))
    return Sample(source, file, form, text, tuple(found))


def lines(*rows: object) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def array(*rows: object) -> str:
    return json.dumps(rows, ensure_ascii=False)


def under(*rows: object) -> str:
    return json.dumps({"examples": rows}, ensure_ascii=False, indent=2)


def table(*rows: dict[str, str]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


LOGIQA = "\nb\nAll men lie.\nWho lies?\nA.Nobody\nB.Men, and C.S City\nC. Women\nD.\u00a0All\n" * 2
GPQA = {
    "Question": 'What, "then"?\nSay it.',
    "Correct Answer": "r, yes\n",
    "Incorrect Answer 1": "s",
    "Incorrect Answer 2": "t",
    "Incorrect Answer 3": "u",
    "Record ID": "rec0",
}
SVAMP = {
    "ID": "0",
    "Body": "Jo has 8 cups. ",
    "Question": "He sells 3. How many?",
    "Answer": 5.0,
    "Type": "Subtraction",
}

SAMPLES = (
    sample(
        *("gsm8k/train", "gsm8k/train.jsonl", "equations"),
        lines({"question": "How many?", "answer": "It is 48/2 = <<48/2=24>>24.\nSo it ends.\n#### 1,024"}),
        ("How many?", ("<<48/2=24>>",), "1,024"),
    ),
    sample(
        *("gsm8k_aug/train", "gsm8k_aug/train.txt", "equations"),
        "How many?||<<4-2=2>> <<2/.5=4>> #### 4\nHow much?|| #### \u22127\n",
        ("How many?", ("<<4-2=2>>", "<<2/.5=4>>"), "4"),
        ("How much?", (), "\u22127"),
    ),
    sample(
        *("gsm8k_aug/train", "gsm8k_aug_nl/train.txt", "sentences"),
        "How many?||It was 4. Now it is 2.5 less! #### 1.5\n",
        ("How many?", ("It was 4.", "Now it is 2.5 less!"), "1.5"),
    ),
    sample(
        *("gsm_hard/test", "gsm_hard/gsmhardv2.jsonl", "equations"),
        lines({"input": "How many eggs?", "code": "", "target": -9867630.0}),
        ("How many eggs?", (), "-9867630.0"),
    ),
    sample(
        *("math/train", "math/train.jsonl", "sentences"),
        lines(
            {
                "problem": "Half?",
                "level": "Level ?",
                "type": "Algebra",
                "solution": "See $x. Y$ here. It is $\\boxed{\\frac{1}{2}}.$",
            },
            {"problem": "Both?", "solution": "$\\boxed{\n(1,\n2)\n}$"},
        ),
        ("Half?", ("See $x. Y$ here.", "It is $\\boxed{\\frac{1}{2}}.$"), "\\frac{1}{2}"),
        ("Both?", ("$\\boxed{ (1, 2) }$",), "(1, 2)"),
    ),
    sample(
        *("math500/test", "math500/test.jsonl", "sentences"),
        lines(
            {
                "problem": "Half?",
                "solution": "One.\n\nTwo.",
                "answer": "\\frac12",
                "subject": "Algebra",
                "level": 1,
                "unique_id": "test/a/1.json",
            }
        ),
        ("Half?", ("One.", "Two."), "\\frac12"),
    ),
    sample(
        *("strategyqa/train", "strategyqa/train.json", "decompositions"),
        array(
            {
                "qid": "a",
                "question": "Is it?",
                "answer": True,
                "facts": ["It  is.\u00a0"],
                "decomposition": ["What?", "Is #1?"],
            }
        ),
        ("Is it?", ("What?", "Is #1?"), "yes"),
    ),
    sample(
        *("strategyqa/validation", "strategyqa/dev.json", "facts"),
        array(
            {
                "qid": "a",
                "question": "Is it?",
                "answer": False,
                "facts": ["It  is.\u00a0"],
                "decomposition": ["What?", "Is #1?"],
            }
        ),
        ("Is it?", ("It is.",), "no"),
    ),
    sample(
        *("logiqa/train", "logiqa/Train.txt", "equations", LOGIQA),
        *[("All men lie.\nWho lies?\nA. Nobody\nB. Men, and C.S City\nC. Women\nD. All", (), "B")] * 2,
    ),
    sample(
        *("logiqa2/test", "logiqa2/test.txt", "equations"),
        lines(
            {
                "id": 9,
                "answer": 3,
                "text": "All men lie.",
                "question": "Who lies?",
                "options": ["A、No", "B、We", "C、He", "D、All"],
                "type": {},
            }
        ),
        ("All men lie.\nWho lies?\nA. No\nB. We\nC. He\nD. All", (), "D"),
    ),
    sample(
        *("prosqa/train", "prosqa/prosqa_train.json", "sentences"),
        array(
            {
                "question": "Tom is a terpus. Is Tom a lempus or yumpus?",
                "steps": ["Tom is a terpus.", "Every terpus is a lempus."],
                "answer": "Tom is a lempus.",
                "edges": [[0, 1]],
            }
        ),
        (
            "Tom is a terpus. Is Tom a lempus or yumpus?",
            ("Tom is a terpus.", "Every terpus is a lempus."),
            "Tom is a lempus.",
        ),
    ),
    sample(
        *("aqua/train", "aqua/train.json", "sentences"),
        lines(
            {
                "question": "How far?",
                "options": ["A)1 km", "B) 2 km", "C)3 km", "D)4 km", "E)None"],
                "rationale": "1 + 1 = 2\nso 2 km\nAnswer : B",
                "correct": "B",
            }
        ),
        ("How far?\nA. 1 km\nB. 2 km\nC. 3 km\nD. 4 km\nE. None", ("1 + 1 = 2", "so 2 km"), "B"),
    ),
    sample(
        *("svamp/test", "svamp/SVAMP.json", "equations"),
        array({**SVAMP, "Equation": "( 8.0 - 3.0 )"}),
        ("Jo has 8 cups. He sells 3. How many?", ("<<8-3=5>>",), "5"),
    ),
    sample(
        *("svamp/test", "svamp/SVAMP.json", "results"),
        array({**SVAMP, "Equation": "( 9.0 / 4.0 )", "Answer": 2.25}),
        ("Jo has 8 cups. He sells 3. How many?", ("2.25",), "2.25"),
    ),
    sample(
        *("multiarith/test", "multiarith/MultiArith.json", "equations"),
        array(
            {
                "iIndex": 0,
                "sQuestion": " How many cups? ",
                "lEquations": ["X=((8.0+5.0)*(2.0-1.0))"],
                "lSolutions": [13.0],
            }
        ),
        ("How many cups?", ("<<(8+5)*(2-1)=13>>",), "13"),
    ),
    sample(
        *("last_letters/test", "last_letters/last_letters.json", "equations"),
        under({"question": 'Take the last letters of "Ann Bob".', "answer": "nb"}),
        ('Take the last letters of "Ann Bob".', (), "nb"),
    ),
    sample(
        *("coin_flip/test", "coin_flip/coin_flip.json", "equations"),
        under({"question": "A coin is heads up. Ann flips it. Is it still heads up?", "answer": "no"}),
        ("A coin is heads up. Ann flips it. Is it still heads up?", (), "no"),
    ),
    sample(
        *("gpqa/main", "gpqa/gpqa_main.csv", "equations", table(GPQA)),
        ('What, "then"?\nSay it.\nA. t\nB. u\nC. r, yes\nD. s', (), "C"),
    ),
    sample(
        *("gpqa/extended", "gpqa/gpqa_extended.csv", "equations"),
        table({**GPQA, "Correct Answer": "C. elegans", "Incorrect Answer 1": "D. rerio"}),
        ('What, "then"?\nSay it.\nA. t\nB. u\nC. C. elegans\nD. D. rerio', (), "C"),
    ),
    sample(
        *("gpqa/diamond", "gpqa/gpqa_diamond.jsonl", "equations", lines(GPQA)),
        ('What, "then"?\nSay it.\nA. t\nB. u\nC. r, yes\nD. s', (), "C"),
    ),
)
