"""Numbers: `integer` and `number`, which must stand alone, and `last_number`, which is taken wherever it stands."""

import re
from fractions import Fraction
from itertools import count

from rim.data.answers.stated import MARK, clean, plain_minus, stated

ABSOLUTE = Fraction(1, 1000)
"""Largest distance of a right `number`: the bound of GSM-Hard's authors (github.com/reasoning-machines/pal,
`scripts/gsm_eval.py`: `abs(ans - x['target']) < 1e-3`)."""
RELATIVE = Fraction(1, 1000)
"""Largest distance of a right `number` as a share of the target; both bounds must hold. Targets go down to 3.5e-07,
where the absolute bound alone would count 0 as right."""
LONGEST = 1000
"""Characters of the longest number that is read; Python turns no text of more than 4,300 digits into a number."""
LARGEST_EXPONENT = 400
"""Floats end at 1e308; a text that writes 1e999999999 is refused and not computed."""

_CURRENCY = r"(?:US\$|\\?[$\u20ac\u00a3\u00a5\u20b9]|(?:USD|EUR|GBP)\b)"
_WHOLE = r"(?:[0-9]{1,3}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+)(?![0-9])|[0-9]+)"
_EXPONENT = r"(?:[eE](?P<e>[+-]?[0-9]+)| ?(?:[\u00d7x*]|\\times|\\cdot) ?10 ?(?:\^|\*\*) ?\{?(?P<ten>[+-]?[0-9]+)\}?)"
_NUMBER = re.compile(
    rf"(?:{_CURRENCY} ?)?(?P<sign>[+-])? ?(?:{_CURRENCY} ?)?"
    rf"(?:(?P<units>[0-9]+) (?P<part>[0-9]+)/(?P<parts>[0-9]+)"
    rf"|(?P<over>{_WHOLE}) ?/ ?(?P<under>{_WHOLE})"
    rf"|(?=\.?[0-9])(?P<whole>{_WHOLE})?(?:\.(?P<decimals>[0-9]+))?{_EXPONENT}?)"
    rf"(?: ?(?:\\?%|{_CURRENCY}))?[.,]?"
)
_ANYWHERE = re.compile(
    rf"(?:(?<![\w)])-)?{_CURRENCY}?\.?[0-9]+(?:[.,][0-9]+|[\u00a0\u2009\u202f][0-9]{{3}}(?![0-9]))*(?:[eE][+-]?[0-9]+)?"
)
"""All that hangs together, so that of `1234,567` or `5.0.0` not the end alone is read: these are no numbers."""


def number(text: str) -> str | None:
    """The stated number in plain digits: `$1,080.50` is `1080.5`, `2.0 × 10^5` is `200000`, `1 1/3` is `4/3`.

    It stands alone, but for a currency or a per cent sign, whose number is what counts. After `####` words may
    follow, as in the official rule for GSM8K, the pattern `#### (\\-?[0-9\\.\\,]+)` without commas
    (github.com/openai/grade-school-math, `grade_school_math/dataset.py`). Unlike there, commas stand between groups
    of three digits only (1,5 is not 15), and a fraction is a fraction (3/4 is not 3).
    """
    part = plain_minus(stated(text))
    match = _NUMBER.match(part)
    if match is None or match.end() > LONGEST:
        return None
    rest = part[match.end() :]
    if rest and not (MARK in text and rest[0] == " "):
        return None
    found = _value(match)
    return None if found is None else _digits(found)


def last_number(text: str) -> str | None:
    """The last number anywhere in the text, as several papers grade GSM8K; a text that is one number is that number.

    So a right answer of `3/4` is not 4, and one of `1 080` not 80.

    Source: the `flexible-extract` filter of github.com/EleutherAI/lm-evaluation-harness, `tasks/gsm8k/gsm8k.yaml`.
    """
    alone = number(text) if MARK not in text and "\n" not in text.strip() else None
    if alone is not None:
        return alone
    found = _ANYWHERE.findall(plain_minus(clean(text)))
    return number(found[-1]) if found else None


def near(found: str, right: str) -> bool:
    """Within both bounds; a target of 0 is met by 0 alone."""
    distance, target = abs(Fraction(found) - Fraction(right)), abs(Fraction(right))
    return distance < ABSOLUTE and distance <= RELATIVE * target


def size(found: str) -> str:
    """`0`, `1 digit`, `2 digits`, ...: the digits of the whole part."""
    whole = int(abs(Fraction(found)))
    digits = len(str(whole))
    return f"{digits} digit{'s' if digits > 1 else ''}" if whole else "0"


def _value(match: re.Match[str]) -> Fraction | None:
    sign = -1 if match["sign"] == "-" else 1
    if match["units"]:
        part, parts = int(match["part"]), int(match["parts"])
        return sign * (int(match["units"]) + Fraction(part, parts)) if part < parts else None
    if match["over"]:
        over, under = (int(re.sub("[, ]", "", match[name])) for name in ("over", "under"))
        return sign * Fraction(over, under) if under else None
    exponent = match["e"] or match["ten"] or "0"
    if len(exponent) > 5 or abs(int(exponent)) > LARGEST_EXPONENT:
        return None
    whole = re.sub("[, ]", "", match["whole"] or "0")
    return sign * Fraction(f"{whole}.{match['decimals'] or 0}") * Fraction(10) ** int(exponent)


def _digits(number: Fraction) -> str:
    """As a decimal where one is exact, and as a fraction in lowest terms where none is."""
    places = decimals(number)
    if not places:
        return str(number)
    digits = str(abs(number.numerator) * 10**places // number.denominator).rjust(places + 1, "0")
    return "-" * (number < 0) + f"{digits[:-places]}.{digits[-places:]}"


def decimals(number: Fraction) -> int | None:
    """Digits after the point of the shortest exact decimal; None: there is none."""
    divisor = number.denominator
    if pow(10, divisor.bit_length(), divisor) != 0:  # it has other prime factors than 2 and 5
        return None
    return next(places for places in count() if 10**places % divisor == 0)
