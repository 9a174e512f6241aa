"""All rules: every right answer of the published files is read and is right, and no text breaks a rule."""

import json
import random
from pathlib import Path

import pytest

from rim.data.answers import RULES, AnswerError, extract, grade, reads, size


def test_an_unknown_rule_lists_the_known_ones() -> None:
    known = "integer, number, last_number, choice, yes_no, latex, sentence, letters, text"
    for call in (extract, lambda rule, text: grade(rule, text, text), size, reads):
        with pytest.raises(AnswerError, match=f"unknown answer rule 'exact': the rules are {known}$"):
            call("exact", "72")
    assert ", ".join(RULES) == known


@pytest.mark.parametrize(
    ("rule", "gold", "reads"),
    [
        ("integer", "yes", "it reads one number, such as 72, -3 or \\$1,080"),
        ("choice", "12", "it reads one letter from A to J, such as B"),
        ("yes_no", "maybe", "it reads yes, no, true or false"),
        ("letters", "ya1o", "it reads letters alone"),
        ("latex", "", "it reads any text that is not empty"),
    ],
)
def test_a_right_answer_that_cannot_be_read_is_an_error_and_not_a_zero(rule: str, gold: str, reads: str) -> None:
    with pytest.raises(AnswerError, match=f"right answer '{gold}' cannot be read by the rule '{rule}': {reads}"):
        grade(rule, "", gold)


def test_every_rule_has_a_version_and_that_of_its_library_counts() -> None:
    versions = {name: rule.version for name, rule in RULES.items()}
    assert versions.pop("latex").startswith("2 with math-verify 0.9")
    assert all(version.isdecimal() for version in versions.values())


@pytest.mark.parametrize(
    ("rule", "own", "can"),
    [
        ("last_number", "integer", True),
        ("integer", "number", True),
        ("text", "choice", True),
        ("latex", "integer", True),
        ("integer", "text", False),
        ("choice", "yes_no", False),
        ("number", "latex", False),
    ],
)
def test_a_rule_reads_the_right_answers_of_tasks_like_its_own(rule: str, own: str, can: bool) -> None:
    assert reads(rule, own) is can


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")]


def _golds(root: Path) -> dict[str, set[str]]:
    """Rule → the right answers of every published file that it grades."""
    chains = [row["answer"] for split in ("train", "test") for row in _lines(root / "gsm8k" / f"{split}.jsonl")]
    sentences = [json.loads((root / "prosqa" / f"prosqa_{split}.json").read_text()) for split in ("valid", "test")]
    truths = [json.loads((root / "strategyqa" / f"{split}.json").read_text()) for split in ("train", "dev")]
    letters = [row["correct"] for split in ("dev", "test") for row in _lines(root / "aqua" / f"{split}.json")]
    logic = (root / "logiqa" / "Eval.txt").read_text(encoding="utf-8").split("\n")[1::8]
    return {
        "integer": {chain.split("####")[1].strip() for chain in chains},
        "number": {repr(row["target"]) for row in _lines(root / "gsm_hard" / "gsmhardv2.even.jsonl")},
        "sentence": {row["answer"] for split in sentences for row in split},
        "yes_no": {str(row["answer"]) for split in truths for row in split},
        "choice": {*letters, *logic},
        "letters": {
            row["answer"] for row in json.loads((root / "last_letters" / "last_letters.json").read_text())["examples"]
        },
    }


def test_every_published_answer_is_right_by_each_rule_that_reads_it(data_root: Path) -> None:
    for own, golds in _golds(data_root).items():
        assert len(golds) > 1
        for rule in (name for name in RULES if reads(name, own)):
            assert [gold for gold in golds if not grade(rule, gold, gold)] == [], rule
            assert all(size(rule, gold) for gold in golds)


def test_different_published_answers_are_not_mistaken_for_each_other(data_root: Path) -> None:
    values = {"integer": lambda gold: int(gold.replace(",", "")), "number": float, "choice": str.upper}
    for rule, golds in _golds(data_root).items():
        different = {values.get(rule, str)(gold) for gold in golds}
        assert len({extract(rule, gold) for gold in golds}) == len(different), rule


HOSTILE = {
    "deep": r"\boxed{" + r"\frac{" * 30_000 + "1" + "}{2}" * 30_000 + "}",
    "brackets": "(" * 400 + "x" + ")" * 400,
    "open": r"\boxed{" * 20_000,
    "power": "10^10^10",
    "exponent": "1e" + "9" * 50_000,
    "digits": "9" * 100_000,
    "groups": "1" + ",000" * 25_000,
    "spaced": "1" + " 000" * 25_000 + "x",
    "slashes": "1/" * 50_000,
    "spaces": " " * 100_000 + "x",
    "named": "answer is " * 10_000,
    "options": "(A) " * 25_000,
    "marks": "####" * 25_000,
    "steps": "<<" * 25_000 + ">>" * 25_000,
    "letters": "a" * 100_000,
    "null": "\x00" * 100_000,
    "text": r"\text{" * 10_000,
    "signs": "-$" * 50_000 + "1",
    "combining": "e" + "\u0301" * 50_000,
    "lone surrogate": "\ud800",
}
GOLD = {"choice": "B", "yes_no": "yes", "letters": "abcd", "sentence": "Tom is a lempus.", "latex": "x+1"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_texts_are_wrong_and_end(name: str) -> None:
    for rule in RULES:
        assert not grade(rule, HOSTILE[name], GOLD.get(rule, "7")), rule


def test_extraction_never_raises() -> None:
    parts = [
        *"0123456789.,-+/^_{}()[]$%\\ \n\t*:;=<>#\"'",
        *"abAByesNo",
        "####",
        "<<",
        ">>",
        "\\boxed{",
        "\\frac",
        "\\text{",
    ]
    parts += [
        "1e9",
        "10^",
        "answer is ",
        "Answer: ",
        "yes",
        "no",
        "(B)",
        "\u20ac",
        "\u2212",
        "\u202f",
        "\u00d7",
        "\ufeff",
    ]
    draw = random.Random(0)
    for _ in range(5000):
        text = "".join(draw.choices(parts, k=draw.randrange(12)))
        for name, rule in RULES.items():
            found = rule.extract(text)
            assert found is None or (found and rule.equal(found, found) and rule.size(found)), (name, text)


def test_the_table_of_rules_in_the_documents_has_every_rule_in_its_version() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "answers.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split(" | ")] for line in text.split("\n") if line.startswith("| `")]
    stated = {cells[0].strip("|` "): cells[3] for cells in rows if len(cells) == 5 and cells[3][:1].isdecimal()}
    assert stated == {
        name: "2 with the version of math-verify" if name == "latex" else rule.version for name, rule in RULES.items()
    }
