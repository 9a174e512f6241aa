"""What a written expression comes to, exactly, and whether that is the value which stands beside it."""

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from operator import add, mul, neg, pos, sub, truediv

OPERATIONS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: add,
    ast.Sub: sub,
    ast.Mult: mul,
    ast.Div: truediv,
}
SIGNS: dict[type[ast.unaryop], Callable[[Fraction], Fraction]] = {ast.USub: neg, ast.UAdd: pos}
NUMBER = re.compile(r"\d+(?:\.\d+)?|\.\d+")


@dataclass(frozen=True)
class Expression:
    """An expression whose numbers can be replaced: `numbers` as they are written, and the texts around them."""

    numbers: tuple[str, ...]
    around: tuple[str, ...]
    _body: ast.expr

    def value(self, numbers: Sequence[Fraction] | None = None) -> Fraction:
        """What it comes to with these numbers in the places of its own; None: with its own.

        Raises:
            ArithmeticError: it divides by 0.
        """
        return _value(self._body, [*map(Fraction, self.numbers)] if numbers is None else numbers)

    def text(self, numbers: Sequence[str]) -> str:
        """The expression with these numbers as they are to be written."""
        return "".join(part for pair in zip(self.around, (*numbers, ""), strict=True) for part in pair)


def parsed(expression: str) -> Expression | None:
    """An expression of numbers, `+ - * /` and brackets; None where something else stands there, or it divides by 0."""
    numbers, around = tuple(NUMBER.findall(expression)), tuple(NUMBER.split(expression))
    names = [f"n{place}" for place in range(len(numbers))]
    try:
        body = ast.parse("".join(map("".join, zip(around, (*names, ""), strict=True))).strip(), mode="eval").body
        found = Expression(numbers, around, body)
        found.value()
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return None
    return found


def gives(expression: str, value: str) -> bool:
    """Whether an expression has this value; one with decimals may be rounded in its last one.

    Args:
        value: a decimal number, such as `5` or `0.67`.
    """
    found, wanted = parsed(expression), Decimal(value)
    places = -int(wanted.as_tuple().exponent)
    rounding = Fraction(1, 2 * 10**places) if places > 0 else 0
    return found is not None and abs(found.value() - Fraction(wanted)) <= rounding


def _value(node: ast.expr, numbers: Sequence[Fraction]) -> Fraction:
    """`n0`, `n1`, ... are places in `numbers`."""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        return OPERATIONS[type(node.op)](_value(node.left, numbers), _value(node.right, numbers))
    if isinstance(node, ast.UnaryOp) and type(node.op) in SIGNS:
        return SIGNS[type(node.op)](_value(node.operand, numbers))
    if isinstance(node, ast.Name):
        return numbers[int(node.id[1:])]
    raise ValueError("not an expression of numbers")
