"""The numbers of a text that are written in digits: what they are, which others may stand in their place, and how.

A number keeps its kind: whole stays whole, decimals keep their places and stay decimals, per cent stays within 100, and
a round number stays round.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

from rim.data.answers.numeric import decimals

WRITTEN = re.compile(
    r"(?<![\w.,/:#\-–])(?P<dollar>\$?)(?P<number>(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?)(?![\d/:A-Za-z]|[.,]\d)"
    r"(?P<percent>\s?%|\s+per\s?cent\b)?"
)
"""A number that stands for itself: no part of a word, a fraction, a time or a range."""
TIME = re.compile(r"\s*(?:[ap]\.?m\b|o.?clock|th\b|st\b|and a half|\d+/\d+)", re.IGNORECASE)
"""What follows a number that is a time, or only a part of a number."""
A = r"\W+(?:a|an|per|each|every|in a|of the|out of the|that|this|one)\W+"
LIMITS = {
    rf"(?:\w+ )?days?(?:{A}|\W+)week": 7,
    rf"hours?\W+(?:\w+\W+){{0,3}}?(?:{A})?(?:day|night)|hours?\W+daily": 16,
    r"hours? (?:of sleep|asleep)": 12,
    rf"months?{A}year": 12,
    r"years?\W+(?:old|of age)": 99,
}
"""What the words after a number allow at most."""
AT_MOST = [(re.compile(rf"\W*{words}", re.IGNORECASE), most) for words, most in LIMITS.items()]


@dataclass(frozen=True)
class Number:
    """A number of a question: its value, how it is written, where it stands there, and the most that it may be."""

    value: Fraction
    written: str
    start: int
    percent: bool
    most: int | None

    @property
    def fixed(self) -> bool:
        """0 and 1 stay: the words around them are in the singular, or say that there is none."""
        return self.value in (0, 1)

    def others(self, factor: float) -> list[Fraction]:
        """The values that may stand in its place, itself among them, from the smallest on."""
        if self.fixed:
            return [self.value]
        step, largest = _step(self), self.value * Fraction(factor)
        if self.most is not None:
            largest = min(largest, Fraction(max(self.most, floor(self.value))))
        first = max(ceil(self.value / Fraction(factor) / step), floor(1 / step) + 1 if self.value > 1 else 1)
        values = [step * times for times in range(first, floor(largest / step) + 1)]
        whole = self.value.denominator == 1
        return [value for value in values if (value.denominator == 1) == whole]


def numbers_in(text: str) -> list[Number] | None:
    """The numbers of a text in digits, in their order; None where digits are something else than a plain number."""
    found = [*WRITTEN.finditer(text)]
    inside = "".join(match["number"] for match in found)
    if [*filter(str.isdigit, text)] != [*filter(str.isdigit, inside)]:
        return None
    if any(TIME.match(text, match.end()) or _is_year(match) for match in found):
        return None
    return [_number(match, text) for match in found]


def rewritten(text: str, numbers: Sequence[Number], values: Sequence[Fraction]) -> str:
    """The text with other values in the places of its numbers."""
    parts, at = [], 0
    for number, value in zip(numbers, values, strict=True):
        grown = value >= 1000 > number.value and "." not in number.written  # as most texts write them
        parts += [text[at : number.start], f"{int(value):,}" if grown else number_like(value, number.written)]
        at = number.start + len(number.written)
    return "".join([*parts, text[at:]])


def number_like(value: Fraction, pattern: str) -> str:
    """A value written as `pattern` is: commas, places that are zeros, and no zero before the point where it has none.

    Raises:
        ValueError: the value has no end in decimals.
    """
    needed = decimals(value)
    if needed is None:
        raise ValueError(f"{value} has no end in decimals")
    given = len(pattern.partition(".")[2])
    comma = "," if "," in pattern else ""
    text = f"{Decimal(value.numerator) / Decimal(value.denominator):{comma}.{max(needed, given)}f}"
    return text.removeprefix("0") if pattern.startswith(".") else text


def _number(match: re.Match[str], text: str) -> Number:
    value, percent = Fraction(match["number"].replace(",", "")), bool(match["percent"])
    limits = [most for words, most in AT_MOST if words.match(text, match.end())]
    limits += [100] if percent and value <= 100 else []
    return Number(value, match["number"], match.start("number"), percent, min(limits, default=None))


def _is_year(match: re.Match[str]) -> bool:
    return not match["dollar"] and bool(re.fullmatch(r"1[89]\d\d|20\d\d", match["number"]))


def _step(number: Number) -> Fraction:
    """Distance of the values that are as round as this one."""
    scale = 10 ** len(number.written.partition(".")[2])
    last = number.value * scale
    unit = 5 if last % 5 == 0 and last >= 20 else 1
    while last % (20 * unit) == 0:  # 40 goes in steps of 5, 80,000 in steps of 5,000
        unit *= 10
    return Fraction(unit, scale)
