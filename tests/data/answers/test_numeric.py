"""Numbers: tables of real cases, and every target of two published test sets with its near misses."""

import json
from pathlib import Path

import pytest

from rim.data.answers import extract, grade, size


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
        ("She has <<48+24=72>>72", None),
        ("72 <<48+24=72>>", None),
        ("5 >> 3", None),
        ("48 / 2 = 24", None),
        ("7 2", None),
        ("72.5.1", None),
        ("$1,080.50", "1080.5"),
        ("\\$1,080", "1080"),
        ("US$5", "5"),
        ("USD 5", "5"),
        ("5 USD", "5"),
        ("-\u20ac5.00", "-5"),
        ("5\u20ac", "5"),
        ("\u00a3 12", "12"),
        ("50\\%", "50"),
        ("1/2", "0.5"),
        ("6/2", "3"),
        ("-2/6", "-1/3"),
        ("7 1/2", "7.5"),
        ("-7 1/2", "-7.5"),
        ("1,080/3", "360"),
        ("7 3/2", None),
        ("1/0", None),
        ("1/2/3", None),
        ("1e-6", "0.000001"),
        ("2.0 \u00d7 10^5", "200000"),
        ("2.0 * 10**5", "200000"),
        ("2 \\times 10^{-2}", "0.02"),
        ("1e400", "1" + "0" * 400),
        ("1e401", None),
        ("1e999999999", None),
        ("10^10^10", None),
        ("1,5", None),
        ("1,0800", None),
        ("10,80", None),
        ("72,", "72"),
        ("72 or 73", None),
        ("72 apples", None),
        ("7 or 8\n#### 72 apples", "72"),
        ("#### 72, as asked", "72"),
        ("#### 72apples", None),
        ("#### 3/4 cups", "0.75"),
        ("#### $1,080.", "1080"),
        ("EUR", None),
        ("\u0667\u0662", None),
        ("9" * 1000, "9" * 1000),
        ("9" * 5000, None),
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
    ("text", "answer"),
    [
        ("so 5-3=2, which is 2.5 km.", "2.5"),
        ("It is -$1,080.", "-1080"),
        ("48/2 = 24, and 48+24 = 72 clips.\nThat is all.", "72"),
        ("1,5", None),
        ("1234,567", None),
        ("12,34,567", None),
        ("1,000,00", None),
        ("version 5.0.0", None),
        ("1\u202f080 clips", "1080"),
        ("in 2020, 5\u00a0000.", "5000"),
        ("24, 72", "72"),
        ("3/4", "0.75"),
        ("1 080", "1080"),
        ("2.0 \u00d7 10^5", "200000"),
        ("it is 3/4", "4"),
        ("#### 72 clips and 5 more", "5"),
        ("$1,080.50.", "1080.5"),
        ("7 - 3", "3"),
        ("x = -3!", "-3"),
        ("about 1e-6 m", "0.000001"),
        (".5", "0.5"),
        ("seven", None),
        ("", None),
        ("1e999999999", None),
    ],
)
def test_last_number_is_the_last_one_anywhere(text: str, answer: str | None) -> None:
    assert extract("last_number", text) == answer


def test_the_lenient_rule_counts_what_the_strict_one_does_not() -> None:
    text = "She sold 72 clips, not 48. The answer is 72 clips."
    assert grade("last_number", text, "72") and not grade("integer", text, "72")


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
        ("integer", "0.5", "0"),
        ("integer", "40/3", "2 digits"),
    ],
)
def test_size_counts_the_digits_of_the_whole_part(rule: str, gold: str, bucket: str) -> None:
    assert size(rule, gold) == bucket


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")]


def test_every_gsm8k_answer_is_right_however_it_is_written(data_root: Path) -> None:
    rows = _lines(data_root / "gsm8k" / "test.jsonl")
    assert len(rows) == 1319
    for row in rows:
        gold = row["answer"].split("####")[1].strip()
        value = int(gold.replace(",", ""))
        sign, size = "-" * (value < 0), abs(value)
        forms = [gold, row["answer"], f"{value}", f"{value:,}", f"{value}.", f"{value}.00", f"{sign}${size:,}"]
        forms += [f"${value}", f"\u2212{size}" if value < 0 else f"+{size}", f"#### {value} clips of May, and 7 more"]
        forms += [f"{value:,}".replace(",", "\u202f"), f"{value}/1"]
        assert [form for form in forms if not grade("integer", form, gold)] == []


def test_near_misses_of_every_gsm8k_answer_are_wrong(data_root: Path) -> None:
    for row in _lines(data_root / "gsm8k" / "test.jsonl"):
        gold = row["answer"].split("####")[1].strip()
        value, digits = int(gold.replace(",", "")), gold.replace(",", "").removeprefix("-")
        misses = [f"{value + 1}", f"{value - 1}", f"{value * 10 or 1}", f"{-value or 1}", f"{value}.5", digits[:-1]]
        misses += [digits[1:], f"{value or 1}e1", f"{value or 1}/7"]
        for form in [*misses, *(f"#### {miss}" for miss in misses), f"{value} {value}", f"{value} or 3"]:
            assert not grade("integer", form, gold), (form, gold)


def test_every_gsm_hard_target_is_right_and_its_near_misses_are_wrong(data_root: Path) -> None:
    targets = [row["target"] for row in _lines(data_root / "gsm_hard" / "gsmhardv2.even.jsonl")]
    assert len(targets) == 660
    for target in targets:
        gold = repr(target)
        assert grade("number", gold, gold) and grade("number", f"{target:,.12f}", gold)
        if target == int(target):
            assert grade("number", str(int(target)), gold)
        misses = [target + 1, target - 1, -target or 1.0, target * 10 or 1.0, target * 1.01 or 0.01, target / 10 or 0.1]
        misses.append(0.0 if target else 1.0)
        assert not any(grade("number", repr(miss), gold) for miss in misses), gold


def test_three_digits_after_the_point_are_enough_but_for_the_smallest_targets(data_root: Path) -> None:
    targets = [row["target"] for row in _lines(data_root / "gsm_hard" / "gsmhardv2.even.jsonl")]
    wrong = [target for target in targets if not grade("number", f"{target:.3f}", repr(target))]
    too_far = [target for target in targets if abs(float(f"{target:.3f}") - target) > abs(target) / 1000]
    assert wrong == too_far and 0 < len(wrong) < 20 and max(map(abs, wrong)) < 0.5
