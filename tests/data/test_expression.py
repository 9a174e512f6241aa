"""What expressions come to, and equations of publishers that contradict their answers."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from rim.data.encode import Request, encode
from rim.data.errors import DataError
from rim.data.expression import gives, parsed
from rim.data.registry import parse_source
from rim.data.steps import CONTRADICTION, EQUATION
from rim.settings import Data
from tests.data.reading import read
from tests.data.samples import SVAMP
from tests.data.tokenizers import byte_level


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("( 8.0 - 3.0 )", Fraction(5)),
        ("((8.0+5.0)*(2.0-1.0))", Fraction(13)),
        ("2*20*.01", Fraction(2, 5)),
        ("0.1+0.2", Fraction(3, 10)),
        ("-3 - -08", Fraction(5)),
        ("+1+2", Fraction(3)),
        ("1/3", Fraction(1, 3)),
        ("2/0", None),
        ("2**9999", None),
        ("8 - x", None),
        ("1,000 - 1", None),
        ("True + 1", None),
        ("", None),
        ("(" * 500, None),
        ("__import__('os')", None),
    ],
)
def test_an_expression_has_an_exact_value(expression: str, value: Fraction | None) -> None:
    found = parsed(expression)
    assert (None if found is None else found.value()) == value


@pytest.mark.parametrize(
    ("expression", "value", "agrees"),
    [
        ("( 4.0 - 2.0 ) + 3.0", "1", False),
        ("4-2+3", "5", True),
        ("10/3", "3", False),
        ("10/3", "3.33", True),
        ("10/3", "3.34", False),
        ("2/3", "0.67", True),
        ("7/2", "3", False),
        ("1000000*3", "3000000", True),
        ("1/8", "0.125", True),
        ("3/10000000", "3e-07", True),
        ("8-", "8", False),
    ],
)
def test_a_value_may_be_rounded_in_its_last_decimal(expression: str, value: str, agrees: bool) -> None:
    assert gives(expression, value) == agrees


def test_published_annotations_of_gsm8k_hold(data_root: Path) -> None:
    """They are taken as they are written: 28,000 of them were computed, and none contradicts itself."""
    config, others = Data(root=str(data_root)), []
    for source in ("gsm8k/train", "gsm8k/test"):
        for step in (step for example in read(source, config).examples for step in example.steps):
            equation = EQUATION.fullmatch(step)
            assert equation is not None
            left, right = map(parsed, step[2:-2].rsplit("=", 1))
            if left is None or right is None or left.value() != right.value():
                others.append(step)
    assert others == ["<<560//10=56>>", "<<180//3=60>>"]


def written(root: Path, source: str, *rows: dict[str, object]) -> Data:
    file = {"svamp": "svamp/SVAMP.json", "multiarith": "multiarith/MultiArith.json"}[source]
    (root / file).parent.mkdir(exist_ok=True)
    (root / file).write_text(json.dumps(rows))
    return Data(root=str(root), cache=str(root / "cache"))


@pytest.mark.parametrize("form", ["equations", "results"])
def test_a_publishers_equation_that_contradicts_its_answer_is_no_step(form: str, tmp_path: Path) -> None:
    """SVAMP's chal-680: an equation of 5, and the answer 1."""
    row = {**SVAMP, "ID": "chal-680", "Equation": "( ( 4.0 - 2.0 ) + 3.0 )", "Answer": 1.0}
    config = written(tmp_path, "svamp", {**SVAMP, "ID": "chal-1", "Equation": "( 8.0 - 3.0 )"}, row)
    config.steps = form  # type: ignore[assignment]
    reading = read("svamp/test", config)
    assert [example.steps for example in reading.examples] == [("<<8-3=5>>",) if form == "equations" else ("5",), ()]
    assert (reading.examples[1].answer, reading.dropped, reading.noted) == ("1", {}, {CONTRADICTION: 1})
    report = encode(Request(parse_source("svamp/test", config), "test"), config, byte_level()).report
    assert str(report) == f"svamp/test: 2 of 2 rows, 1 different questions, 1 {CONTRADICTION}"


@pytest.mark.parametrize(
    ("equation", "solution", "steps"),
    [
        ("X=((8.0+5.0)*2.0)", 26.0, ("<<(8+5)*2=26>>",)),
        ("X=((8.0+5.0)*2.0)", 27.0, ()),
        ("X=(8.0+y)", 27.0, ()),
    ],
)
def test_multiariths_equations_are_computed_too(
    equation: str, solution: float, steps: tuple[str, ...], tmp_path: Path
) -> None:
    row = {"sQuestion": "How many?", "lEquations": [equation], "lSolutions": [solution]}
    reading = read("multiarith/test", written(tmp_path, "multiarith", row))
    assert reading.examples[0].steps == steps and reading.noted == ({} if steps else {CONTRADICTION: 1})


@pytest.mark.parametrize("answer", ["nan", "inf", "five"])
def test_an_answer_that_is_no_number_is_broken(answer: str, tmp_path: Path) -> None:
    config = written(tmp_path, "svamp", {**SVAMP, "Equation": "8-3", "Answer": answer})
    with pytest.raises(DataError, match=f"row 1: 'Answer' is '{answer}'; an answer is a number"):
        read("svamp/test", config)
