"""The form of written steps: equations such as `<<48/2=24>>`, their bare results, `24`, or sentences."""

import re
from collections.abc import Iterable
from decimal import Decimal

from rim.data.expression import gives
from rim.data.row import Row

WRITTEN = ("equations", "sentences", "results")
"""Forms of a task whose steps are equations and sentences."""
BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+")
WHOLE = re.compile(r"\.0+(?![0-9])")
"""The end of a whole number that is written as a float."""

CONTRADICTION = "equations that contradict the answer"
"""What is counted of rows whose publisher contradicts itself; such an equation is no step."""

ANNOTATION = re.compile(r"<<.*?>>")
EQUATION = re.compile(r"<<[^<>]*=([^<>=]+)>>")
"""An equation; the group is what stands right of its last `=`."""


def annotations(text: str) -> tuple[str, ...]:
    """The calculator annotations of a rationale, such as `<<48/2=24>>`, in order."""
    return tuple(ANNOTATION.findall(text))


def in_form(steps: Iterable[str], row: Row) -> tuple[str, ...]:
    """The steps of a row that are not empty, as they are written, or where its form is `results` the result of each.

    Raises:
        RowError: results are asked of a step that is no equation.
    """
    written = tuple(filter(str.strip, steps))
    return tuple(_result(step, row) for step in written) if row.form == "results" else written


def equation(expression: str, value: str) -> str:
    """An expression and its value as a step: `( 8.0 - 3.0 )` and `5` become `<<8-3=5>>`."""
    plain = WHOLE.sub("", "".join(expression.split()))
    while plain.startswith("(") and _closes(plain) == len(plain) - 1:
        plain = plain[1:-1]
    return f"<<{plain}={value}>>"


def only_step(row: Row, expression: str, value: str) -> tuple[str, ...]:
    """The steps of a row whose publisher gives one expression and its value: that equation, in the row's form.

    An expression that has another value, or cannot be computed, makes no step and is counted.
    """
    if not gives(expression, value):
        row.noted[CONTRADICTION] += 1
        return ()
    return in_form([equation(expression, value)], row)


def number_text(value: float) -> str:
    """A number as it is written by hand: `145.0` is `145`.

    Raises:
        ValueError: it is not finite.
    """
    number = Decimal(str(value))  # as it was written: the float 1e23 is 8388608 less
    if not number.is_finite():
        raise ValueError(f"{value} is no number")
    return str(int(number)) if number == number.to_integral_value() else repr(float(value))


def split_sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text; each ends in a full stop, a question mark or an exclamation mark before a space."""
    return tuple(part for part in BETWEEN_SENTENCES.split(" ".join(text.split())) if part)


def _closes(text: str) -> int:
    """Where the bracket that a text begins with is closed."""
    depth = 0
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return place
    return -1


def _result(step: str, row: Row) -> str:
    equation = EQUATION.fullmatch(step.strip())
    if equation is None or not equation[1].strip():
        raise row.broken(
            f"the step {step!r:.80} is no equation",
            "data.steps=results takes what stands right of the last '=' of equations such as <<48/2=24>>",
            "set data.steps=equations to take steps as they are written, or mend the row",
        )
    return equation[1].strip()
