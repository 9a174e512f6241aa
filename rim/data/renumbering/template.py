"""A question whose numbers can be replaced: where each number of its equations comes from.

A number of an equation is one of the question, the result of an earlier equation, or a constant that the question's
words say. What might be two of these at once is not decided, and the row is left out.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, NamedTuple

from rim.data.answers.numeric import decimals
from rim.data.example import Example
from rim.data.expression import Expression, parsed
from rim.data.renumbering.constants import said_in
from rim.data.renumbering.numbers import Number, number_like, numbers_in, rewritten
from rim.data.steps import EQUATION


class Operand(NamedTuple):
    """A number of an equation: that of the question or the result at a place, times `scale`, or `scale` itself."""

    kind: Literal["number", "result", "constant"]
    place: int
    scale: Fraction = Fraction(1)

    def value(self, numbers: Sequence[Fraction], results: Sequence[Fraction]) -> Fraction:
        """What it is with these numbers of the question and results so far."""
        return self.scale * {"number": numbers, "result": results, "constant": [Fraction(1)]}[self.kind][self.place]


@dataclass(frozen=True)
class Equation:
    """One step: what is computed from what, and its result as it was written."""

    expression: Expression
    operands: tuple[Operand, ...]
    written: str

    @property
    def result(self) -> Fraction:
        return Fraction(self.written)


@dataclass(frozen=True)
class Template:
    """A question, its numbers, and its equations."""

    example: Example
    numbers: tuple[Number, ...]
    equations: tuple[Equation, ...]

    def results(self, values: Sequence[Fraction]) -> list[Fraction] | None:
        """What the equations come to with these numbers; None where one is of another kind than it was.

        Nothing is negative, nothing becomes 0 or a decimal that was neither, and decimals have no more places.
        """
        found: list[Fraction] = []
        for equation in self.equations:
            try:
                result = equation.expression.value([each.value(values, found) for each in equation.operands])
            except ZeroDivisionError:
                return None
            if not _of_kind(result, equation):
                return None
            found.append(result)
        return found

    def version(self, values: Sequence[Fraction], name: str) -> Example | None:
        """The example with these numbers; None where its equations do not allow them."""
        results = self.results(values)
        if results is None:
            return None
        question = rewritten(self.example.question, self.numbers, values)
        try:
            steps = tuple(self._steps(values, results))
        except ValueError:  # an operand, such as a third of something, that has no end in decimals
            return None
        return Example(name, question, steps, number_like(results[-1], self.example.answer))

    def _steps(self, values: Sequence[Fraction], results: Sequence[Fraction]) -> list[str]:
        steps = []
        for place, equation in enumerate(self.equations):
            operands = [each.value(values, results) for each in equation.operands]
            written = map(number_like, operands, equation.expression.numbers)
            steps.append(f"<<{equation.expression.text([*written])}={number_like(results[place], equation.written)}>>")
        return steps


def template(example: Example) -> Template | str:
    """The template of an example with equations, or the reason why its numbers cannot be replaced safely."""
    if not example.steps:
        return "no equations"
    numbers = numbers_in(example.question)
    if numbers is None:
        return "digits of a fraction, a time, a year or a word"
    if max(Counter(number.value for number in numbers).values(), default=1) > 1:
        return "a number that the question has twice"
    equations = _equations(example, numbers)
    if isinstance(equations, str):
        return equations
    made = Template(example, tuple(numbers), tuple(equations))
    if equations[-1].result != _decimal(example.answer):
        return "an answer that is not the last result"
    if made.version([number.value for number in numbers], example.id) != example:
        return "numbers in an unusual form"
    return made


def _equations(example: Example, numbers: Sequence[Number]) -> list[Equation] | str:
    """The equations with the sources of their numbers, or what is wrong with them."""
    constants, used, results, equations = said_in(example.question), set[Operand](), list[Fraction](), list[Equation]()
    for step in example.steps:
        match = EQUATION.fullmatch(step)
        expression = parsed(step[2:-2].rpartition("=")[0])
        value = _decimal(match[1]) if match else None
        if expression is None or value is None or expression.value() != value:
            return "an equation that cannot be computed exactly"
        operands = []
        for written in expression.numbers:
            sources = _sources(Fraction(written), numbers, results, constants)
            if len(sources) != 1:
                return f"a number of an equation with {'two possible sources' if sources else 'no known source'}"
            operands += sources
            used.update(each._replace(scale=Fraction(1)) for each in sources)
        assert match is not None
        equations.append(Equation(expression, tuple(operands), match[1]))
        results.append(value)
    wanted = {Operand("number", place) for place, number in enumerate(numbers) if not number.fixed}
    wanted |= {Operand("result", place) for place in range(len(results) - 1)}
    return equations if wanted <= used else "a number or a result that no equation uses"


def _sources(
    value: Fraction, numbers: Sequence[Number], results: Sequence[Fraction], constants: frozenset[Fraction]
) -> list[Operand]:
    """Where a number of an equation may come from."""
    free = [(place, number) for place, number in enumerate(numbers) if not number.fixed]
    found = [Operand("number", place) for place, number in free if value == number.value]
    per_cent = Fraction(1, 100)
    found += [
        Operand("number", place, per_cent)
        for place, number in free
        if number.percent and value == number.value * per_cent
    ]
    found += [Operand("result", place) for place, result in enumerate(results) if value == result]
    if value in constants or any(number.fixed and value == number.value for number in numbers):
        found.append(Operand("constant", 0, value))
    return found


def _of_kind(result: Fraction, equation: Equation) -> bool:
    before, needed = equation.result, decimals(result)
    alike = result >= 0 and (result == 0) == (before == 0)
    return alike and needed is not None and needed <= (decimals(before) or 0)


def _decimal(text: str) -> Fraction | None:
    """The value of a number in digits, with commas or without."""
    try:
        return Fraction(text.replace(",", ""))
    except ValueError:
        return None
