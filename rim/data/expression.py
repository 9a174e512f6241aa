"""What a written expression comes to, exactly, and whether that is the value which stands beside it."""

import ast
import re
from collections.abc import Callable
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
LEADING_ZEROS = re.compile(r"(?<![\d.])0+(?=\d)")
"""`08` is a number by hand and none in Python."""


def value_of(expression: str) -> Fraction | None:
    """The value of numbers, `+ - * /` and brackets; None where something else stands there, or it divides by 0."""
    try:
        return _value(ast.parse(LEADING_ZEROS.sub("", expression.strip()), mode="eval").body)
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return None


def gives(expression: str, value: str) -> bool:
    """Whether an expression has this value; one with decimals may be rounded in its last one.

    Args:
        value: a decimal number, such as `5` or `0.67`.
    """
    found, wanted = value_of(expression), Decimal(value)
    places = -int(wanted.as_tuple().exponent)
    rounding = Fraction(1, 2 * 10**places) if places > 0 else 0
    return found is not None and abs(found - Fraction(wanted)) <= rounding


def _value(node: ast.expr) -> Fraction:
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATIONS:
        return OPERATIONS[type(node.op)](_value(node.left), _value(node.right))
    if isinstance(node, ast.UnaryOp) and type(node.op) in SIGNS:
        return SIGNS[type(node.op)](_value(node.operand))
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return Fraction(str(node.value))
    raise ValueError("not an expression of numbers")
