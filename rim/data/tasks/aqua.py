"""AQuA-RAT: algebra with five options and a written solution.

Ling et al., ACL 2017, "Program Induction by Rationale Generation"; github.com/google-deepmind/AQuA, commit 26b64ed1;
Apache-2.0. Train 97,467, validation 254 (the publisher's `dev.json`), test 254; accuracy of the letter.

A row is `{"question", "options": [...], "rationale", "correct": letter}`, JSON lines although the file is called
`.json`. The steps are the lines of the rationale. What its end says about the letter is taken away, or the answer
would leak: a last line such as `Answer : A` goes, and of a longer one the end does.
"""

import re

from rim.data import hub
from rim.data.choices import lay_out, letter
from rim.data.example import Example
from rim.data.published import Published, Row, Source

REVISION = "33301c6a050c96af81f63cad5562cb5363e88971"
HOME = "https://github.com/google-deepmind/AQuA"
ALONE = r"(?<![\w'’])[A-E](?![\w'’])"
"""A letter that is no part of a word."""
BEFORE = r"[\s(>=,;:–—-]*(?:\b(?i:so|hence|thus|therefore|and)\b[\s,]*)?"
ENDS = (
    rf"(?:\b(?i:the)\s+)?(?:\b(?i:correct|right)\s+)?\b(?i:answer|ans|option|choice)\b\.?[^.\d]{{0,25}}?{ALONE}.{{0,60}}",
    r"(?:\b(?i:the)\s+)?\b(?i:answer|option|choice)\s+is\s+[a-e][\s.)]*",
    rf"\(?{ALONE}\)?\s+is\s+(?i:(?:the\s+)?(?:correct|right|answer))\b.{{0,30}}",
)
"""How a line ends that names the letter: `Answer : A`, `the answer is a.`, `(C) is correct`."""
NAMED = re.compile(BEFORE + "(?:" + "|".join(ENDS) + ")$")
FIRST = re.compile(r"^[\s(]*[A-E][).].{0,60}$")
"""A line that begins with the letter, as in `C. (by-ay)/2`."""


def steps(rationale: str, right: str) -> tuple[str, ...]:
    """The lines of a rationale without what the end says about the right letter."""
    lines = [text for line in rationale.split("\n") if (text := " ".join(line.split()))]
    while lines and (kept := without_letter(lines[-1], right)) != lines[-1]:
        lines[-1:] = [kept] if kept else []
    return tuple(lines)


def without_letter(line: str, right: str) -> str:
    """A line without an end that names an option's letter; a bare letter, as in `= D`, counts where it is right."""
    found = NAMED.search(line) or FIRST.search(line) or re.search(rf"{BEFORE}\(?\b{right}\)?[\s.)]*$", line)
    return line[: found.start()].rstrip() if found else line


def parse(row: Row) -> Example:
    """The example of a row."""
    values = row.check({"question": str, "options": list, "rationale": str, "correct": str})
    question = lay_out(row, values["question"], row.texts("options"))
    right = letter(row, values["correct"], len(values["options"]))
    return row.example(question, steps(values["rationale"], right), right)


FILES = {"train": "train.json", "validation": "dev.json", "test": "test.json"}
SOURCES = {
    split: Source((f"aqua/{file}",), (hub.Table("deepmind/aqua_rat", "raw", split, REVISION),), HOME)
    for split, file in FILES.items()
}
TASK = Published("aqua", SOURCES, ("test",), "choice", parse, ("sentences",)).task()
