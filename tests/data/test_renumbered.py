"""GSM8K with other numbers: every version is checked by an evaluator that shares no code with the task."""

import re
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from rim.base.errors import SettingsError
from rim.data.example import Example, Reading
from rim.data.expression import parsed
from rim.data.registry import task
from rim.data.renumbering.numbers import number_like, numbers_in
from rim.data.renumbering.template import Template, template
from rim.data.renumbering.versions import versions
from rim.settings import Data, Renumbered
from rim.settings.load import load
from tests.data.reading import distinct, read

DIGITS = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")


def config(root: Path, **options: Any) -> Data:
    return Data(root=str(root), gsm8k_renumbered=Renumbered(**options))


@pytest.fixture(scope="module")
def originals(data_root: Path) -> dict[str, Example]:
    """The rows of GSM8K's test split by their number."""
    rows = read("gsm8k/test", Data(root=str(data_root))).examples
    return {row.id.rpartition("/")[2]: row for row in rows}


@pytest.fixture(scope="module")
def reading(data_root: Path) -> Reading:
    return read("gsm8k_renumbered/test", config(data_root, test_versions=3))


def digits(text: str) -> list[Fraction]:
    return [Fraction(found.replace(",", "")) for found in DIGITS.findall(text)]


def percents(text: str) -> list[Fraction]:
    return [Fraction(found.replace(",", "")) for found in re.findall(r"([\d.,]*\d)(?:\s?%|\s+per\s?cent)", text)]


def computed(expression: str) -> Fraction:
    """By Python itself, on exact numbers."""
    return Fraction(eval(DIGITS.sub(lambda found: f"Fraction('{found[0].replace(',', '')}')", expression)))


def check(version: Example, original: Example, factor: float) -> None:
    """The text around the numbers is the same, equations hold, kinds and sizes are kept, and one value replaces one."""
    assert DIGITS.split(version.question) == DIGITS.split(original.question)
    replaced: dict[Fraction, Fraction] = {}
    for before, after in zip(digits(original.question), digits(version.question), strict=True):
        assert replaced.setdefault(before, after) == after
        assert before / Fraction(factor) <= after <= before * Fraction(factor)
        assert (before.denominator == 1) == (after.denominator == 1)
    assert replaced and any(before != after for before, after in replaced.items())
    per_cent = dict(zip(percents(original.question), percents(version.question), strict=True))
    assert all(now <= 100 for was, now in per_cent.items() if was <= 100)
    known = {**{was / 100: now / 100 for was, now in per_cent.items()}, **replaced}
    assert len(version.steps) == len(original.steps)
    for step, was in zip(version.steps, original.steps, strict=True):
        check_step(step, was, known)
    assert digits(version.answer) == [known[digits(original.answer)[0]]]


def check_step(step: str, was: str, known: dict[Fraction, Fraction]) -> None:
    """An equation that holds, made of the numbers that replace those of the original; its result joins them."""
    left, right = step.strip("<>").split("=")
    left_was, right_was = was.strip("<>").split("=")
    assert DIGITS.split(left) == DIGITS.split(left_was) and ("," in step) <= ("," in was)
    for after, before in zip(digits(left), digits(left_was), strict=True):
        assert after == known.get(before, before), f"{step} of {was}"
    result, before = digits(right)[0], digits(right_was)[0]
    assert computed(left) == result >= 0 and computed(left_was) == before
    assert before.denominator != 1 or result.denominator == 1
    known[before] = result


def test_versions_are_right_by_an_independent_evaluator(reading: Reading, originals: dict[str, Example]) -> None:
    assert len(reading.examples) > 1000
    for version in reading.examples:
        check(version, originals[version.id.rpartition("/")[2].partition(".")[0]], 3)


def test_rows_are_counted_by_reason_and_versions_differ(reading: Reading) -> None:
    assert reading.read == 3 * 1319 == len(reading.examples) + sum(reading.dropped.values()), "in versions"
    kept = {example.id.partition(".")[0] for example in reading.examples}
    assert len(kept) > 380 and distinct(reading) == len(reading.examples)
    assert reading.dropped["no equations"] == 3 * 18
    first = [example.id for example in reading.examples[:2]]
    assert all(name.endswith(".0") for name in first), "the first version of all rows comes first"


def test_with_its_own_numbers_every_row_gives_itself_back(originals: dict[str, Example]) -> None:
    made = [each for row in originals.values() if not isinstance(each := template(row), str)]
    assert len(made) > 380
    for each in made:
        own = [number.value for number in each.numbers]
        assert each.version(own, each.example.id) == each.example


def test_versions_are_a_function_of_the_seed_alone(data_root: Path, reading: Reading) -> None:
    one = read("gsm8k_renumbered/test", config(data_root)).examples
    assert one == [example for example in reading.examples if example.id.endswith(".0")]
    other = read("gsm8k_renumbered/test", config(data_root, seed=1)).examples
    assert sum(a.question == b.question for a, b in zip(one, other, strict=False)) < 20


def test_results_are_what_stands_right_of_the_equations(data_root: Path) -> None:
    equations = read("gsm8k_renumbered/validation", config(data_root)).examples
    bare = read("gsm8k_renumbered/validation", replace(config(data_root), steps="results")).examples
    for one, other in zip(equations, bare, strict=True):
        assert other.steps == tuple(step.strip("<>").rpartition("=")[2] for step in one.steps)


def test_validation_rows_are_no_training_rows(tmp_path: Path) -> None:
    """Of 400 rows of one kind, by the number of the row that a version names."""
    (tmp_path / "gsm8k").mkdir()
    line = '{{"question": "{name} has 21 eggs and eats 5. How many are left?", "answer": "<<21-5=16>>16\\n#### 16"}}\n'
    (tmp_path / "gsm8k" / "train.jsonl").write_text("".join(line.format(name=f"N{'x' * n}") for n in range(400)))
    given, rows = config(tmp_path, versions=1), {}
    for split in ("train", "validation"):
        examples = read(f"gsm8k_renumbered/{split}", given).examples
        rows[split] = {each.id.rpartition("/")[2].partition(".")[0] for each in examples}
    assert not rows["train"] & rows["validation"] and len(rows["train"] | rows["validation"]) == 400
    assert 10 <= len(rows["validation"]) <= 45


@pytest.mark.parametrize(
    ("question", "steps", "answer", "reason"),
    [
        ("Ann has 5 eggs and Bob 5.", ("<<5+5=10>>",), "10", "a number that the question has twice"),
        ("Ann eats 1/2 of 6 eggs.", ("<<6/2=3>>",), "3", "digits of a fraction, a time, a year"),
        ("Ann works from 3 pm for 6 hours.", ("<<3+6=9>>",), "9", "digits of a fraction, a time, a year"),
        ("Ann was born in 1990 and is 5.", ("<<1990+5=1995>>",), "1995", "digits of a fraction, a time, a year"),
        ("Ann, the 3rd, has 6 eggs.", ("<<6*3=18>>",), "18", "digits of a fraction, a time, a year"),
        ("Ann has 6 eggs and 20 hens.", ("<<6*2=12>>",), "12", "a number of an equation with no known source"),
        (
            "Ann works 7 hours every day of a week.",
            ("<<7*7=49>>",),
            "49",
            "a number of an equation with two possible sources",
        ),
        ("Ann has 6 eggs, 2 more, 8 more.", ("<<6+2=8>>", "<<8+8=16>>"), "16", "a number of an equation with two"),
        ("Ann has 6 eggs and 20 hens.", ("<<6+6=12>>",), "12", "a number or a result that no equation uses"),
        ("Ann has 6 eggs and 20 hens.", ("<<6+20=26>>",), "27", "an answer that is not the last result"),
        ("Ann has 6 eggs and 20 hens.", ("<<6+20=25>>",), "25", "an equation that cannot be computed exactly"),
        ("Ann has 6 eggs and 20 hens.", ("<<6**20=25>>",), "25", "an equation that cannot be computed exactly"),
        ("Ann has 6 eggs and 20 hens.", ("<<06+20=26>>",), "26", "numbers in an unusual form"),
        ("Ann has 6 eggs.", (), "6", "no equations"),
    ],
)
def test_rows_that_cannot_be_renumbered_safely(question: str, steps: tuple[str, ...], answer: str, reason: str) -> None:
    found = template(Example("gsm8k/train/0", question, steps, answer))
    assert isinstance(found, str) and found.startswith(reason)


def test_words_say_constants_and_per_cent_become_decimals() -> None:
    row = Example(
        "gsm8k/train/0",
        "A dozen hats cost $48. Ann buys twice that, 25% off. What does one hat cost, and 20 of them?",
        ("<<48*.25=12>>", "<<48-12=36>>", "<<36/12=3>>", "<<3*20=60>>"), "60",
    )  # fmt: skip
    assert template(row) == "a number of an equation with two possible sources", "12 is a dozen and a result"
    plain = replace(row, question=row.question.replace("A dozen", "Some"))
    assert not isinstance(template(plain), str) and not isinstance(template(row), Template)
    made = template(replace(plain, steps=("<<48*.25=12>>", "<<48-12=36>>", "<<20+36=56>>", "<<56/2=28>>"), answer="28"))
    assert isinstance(made, Template)
    version = made.version([Fraction(80), Fraction(5), Fraction(20)], "x")
    assert version is not None
    assert version.steps == ("<<80*.05=4>>", "<<80-4=76>>", "<<20+76=96>>", "<<96/2=48>>")
    assert made.version([Fraction(48), Fraction(30), Fraction(20)], "x") is None, "14.4 was a whole number"
    assert len([*versions(made, 5, 3.0, "s")]) == 5


def test_numbers_keep_their_kind() -> None:
    [plain, round_, per_cent, money, days] = numbers_in(
        "12 eggs, 8,000 hens, 90% of them for $1.50, 5 days a week"
    ) or []  # fmt: skip
    assert [int(value) for value in (plain.others(2)[0], plain.others(2)[-1])] == [6, 24]
    assert Counter(value % 500 for value in round_.others(3)) == {0: 43}
    assert per_cent.others(3)[-1] == 100 and days.others(3)[-1] == 7
    assert all(value.denominator != 1 and value % Fraction(1, 20) == 0 for value in money.others(3))


@pytest.mark.parametrize(
    ("value", "like", "written"),
    [(Fraction(5, 2), "1.50", "2.50"), (Fraction(1, 4), ".5", ".25"), (Fraction(9000), "1,000", "9,000"),
     (Fraction(9000), "900", "9000"), (Fraction(3), "4.00", "3.00")],
)  # fmt: skip
def test_a_number_is_written_as_the_one_before(value: Fraction, like: str, written: str) -> None:
    assert number_like(value, like) == written


def test_an_expression_is_computed_with_other_numbers() -> None:
    made = parsed("2*(3+4)-.5")
    assert made is not None and made.numbers == ("2", "3", "4", ".5")
    assert made.value([Fraction(n) for n in (3, 1, 1, 2)]) == 4 and made.text("abcd") == "a*(b+c)-d"
    assert [parsed(text) for text in ("2**3", "2//3", "20%", "2(3)", "1/0", "", "a")] == [None] * 7


def test_senseless_factors_are_refused() -> None:
    for factor in ("1", "0.5", "1000"):
        with pytest.raises(SettingsError, match=r"factor = .*: must be more than 1, and at most 100"):
            load([], [f"data.gsm8k_renumbered.factor={factor}"])


def test_the_fingerprint_holds_what_changes_the_rows(data_root: Path) -> None:
    found = task("gsm8k_renumbered").fingerprint
    base = found("train", config(data_root))
    changes: list[dict[str, Any]] = [{"seed": 1}, {"factor": 2.0}, {"versions": 3}]
    assert all(found("train", config(data_root, **change)) != base for change in changes)
    assert found("train", config(data_root, test_versions=9)) == base
