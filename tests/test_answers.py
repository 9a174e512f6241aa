"""The answer rules, by tables of real cases and by every target of two published test sets."""

import json
import os
from pathlib import Path

import pytest

from rim.answers import RULES, AnswerError, extract, grade, size

DATA = Path(os.environ.get("RIM_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("72", "72"),
        (" 72\n", "72"),
        ("$1,080", "1080"),
        ("109,200,000", "109200000"),
        ("1 080", "1080"),
        ("1\u00a0080", "1080"),
        ("1\u202f450\u202f000", "1450000"),
        ("-$12.", "-12"),
        ("$ -12", "-12"),
        ("\u221247", "-47"),
        ("- 47", "-47"),
        ("+5", "5"),
        ("50%", "50"),
        ("50 %", "50"),
        ("72.00", "72"),
        ("2.50", "2.5"),
        (".5", "0.5"),
        ("007", "7"),
        ("-0", "0"),
        ("\u200b72", "72"),
        ("<<48/2=24>> <<48+24=72>> #### 72", "72"),
        ("48/2 = 24.\n48+24 = 72.\n#### 72\nQuestion: what is 5 + 5?\nThe answer is 10", "72"),
        ("#### 5\n#### 6", "6"),
        ("####72", "72"),
        ("#### 72 clips", "72"),
        ("<<48/2=24>>\n<<48+24=72>>\n72", "72"),
        ("<<48/2=24>> 72", "72"),
        ("72\n#### ", None),
        ("", None),
        ("-", None),
        (",", None),
        ("72 clips", None),
        ("The answer is 72", None),
        ("<<48/2=24>>", None),
        ("48 / 2 = 24", None),
        ("7 2", None),
        ("72.5.1", None),
        ("1/2", None),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_integer_reads_the_stated_number(text: str, answer: str | None) -> None:
    assert extract("integer", text) == answer


@pytest.mark.parametrize(
    ("prediction", "gold", "right"),
    [
        ("3431580", "3431580.0", True),
        ("3,431,580", "3431580.0", True),
        ("3431581", "3431580.0", False),
        ("9284017268534.4", "9284017268534.4", True),
        ("9284017268535.4", "9284017268534.4", False),
        ("108224794.2", "108224794.200000003", True),
        ("14053029.6667", "14053029.666666666", True),
        ("14053029", "14053029.666666666", False),
        ("0", "3.5e-07", False),
        ("0.00000035", "3.5e-07", True),
        ("3.5e-07", "3.5e-07", True),
        ("-3.5e-07", "3.5e-07", False),
        ("0", "0.0", True),
        ("0.0005", "0.0", False),
        ("\u22129867630", "-9867630.0", True),
        ("9867630", "-9867630.0", False),
        ("1e999", "5.0", False),
        ("nan", "5.0", False),
        ("", "5.0", False),
    ],
)
def test_number_holds_both_bounds(prediction: str, gold: str, right: bool) -> None:
    assert grade("number", prediction, gold) is right


@pytest.mark.parametrize(
    ("prediction", "gold", "right"),
    [
        ("Tom is a lempus.", "Tom is a lempus.", True),
        ("  tom is  a lempus ", "Tom is a lempus.", True),
        ("Tom\u00a0is a lempus.", "Tom is a lempus.", True),
        ("Tom is a rempus.", "Tom is a lempus.", False),
        ("Tom is a lempus. Tom", "Tom is a lempus.", False),
        ("Bob\nAnn\nCy", "Cy", True),
        ("Bob\nAnn\nCy", "Ann", False),
        ("me\u0301yl", "m\u00e9yl", True),
        ("", "Ann", False),
        (".", "Ann", False),
    ],
)
def test_text_ignores_case_spaces_and_the_final_stop(prediction: str, gold: str, right: bool) -> None:
    assert grade("text", prediction, gold) is right


@pytest.mark.parametrize(
    ("rule", "gold", "bucket"),
    [
        ("integer", "0", "0"),
        ("integer", "7", "1 digit"),
        ("integer", "-12", "2 digits"),
        ("integer", "1,080", "4 digits"),
        ("integer", "99999999999999999", "17 digits"),
        ("number", "3.5e-07", "0"),
        ("number", "0.0", "0"),
        ("number", "9.5", "1 digit"),
        ("number", "9284017268534.4", "13 digits"),
        ("text", "Bob", "text"),
    ],
)
def test_size_counts_the_digits_of_the_whole_part(rule: str, gold: str, bucket: str) -> None:
    assert size(rule, gold) == bucket


def _gsm8k() -> list[str]:
    lines = (DATA / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
    return [json.loads(line)["answer"] for line in lines]


def _gsm_hard() -> list[float]:
    lines = (DATA / "gsm_hard" / "gsmhardv2.even.jsonl").read_text(encoding="utf-8").rstrip("\n").split("\n")
    return [json.loads(line)["target"] for line in lines]


def test_every_gsm8k_answer_is_right_and_its_near_misses_are_wrong() -> None:
    rows = _gsm8k()
    assert len(rows) == 1319
    for chain in rows:
        gold = chain.split("####")[1].strip()
        value = int(gold.replace(",", ""))
        assert all(grade("integer", text, gold) for text in (gold, chain, str(value), f"{value:,}", f"{value}."))
        misses = {value + 1, value - 1, -value or 1, value * 10 or 1, value * 10 + 7} | {value // 10} - {value}
        assert not any(grade("integer", str(miss), gold) for miss in misses), gold


def test_every_gsm_hard_target_is_right_and_its_near_misses_are_wrong() -> None:
    targets = _gsm_hard()
    assert len(targets) == 660
    for target in targets:
        gold = repr(target)
        assert grade("number", gold, gold) and grade("number", f"{target:,.12f}", gold)
        if target == int(target):
            assert grade("number", str(int(target)), gold)
        misses = [target + 1, target - 1, -target or 1.0, target * 10 or 1.0, target * 1.01 or 0.01]
        misses.append(0.0 if target else 1.0)
        assert not any(grade("number", repr(miss), gold) for miss in misses), gold


def test_an_unknown_rule_lists_the_known_ones() -> None:
    for call in (extract, lambda rule, text: grade(rule, text, text), size):
        with pytest.raises(AnswerError, match="unknown answer rule 'exact': the rules are integer, number, text"):
            call("exact", "72")
    assert set(RULES) == {"integer", "number", "text"}


def test_a_right_answer_that_cannot_be_read_is_an_error_and_not_a_zero() -> None:
    with pytest.raises(AnswerError, match="right answer 'yes' cannot be read by the rule 'integer'"):
        grade("integer", "", "yes")
