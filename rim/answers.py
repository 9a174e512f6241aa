"""Pure text rules of answers: what a text's answer is, whether it is right, and how large it is.

A rule is chosen by the task, by name:

| rule | for | right means |
|---|---|---|
| `integer` | GSM8K and its relatives, arithmetic | the same number, to the last digit |
| `number` | GSM-Hard, whose targets are floats | within `ABSOLUTE` and within `RELATIVE` of the target |
| `text` | tracking, words and sentences | the same text, but for case, spaces and a final full stop |

Where a text's answer stands is the same for all: what follows the last `####`; without one, the last line, after a
`<<...>>` that it begins with. So a written chain may come before an answer, and a step is not taken for an answer
because it happens to end in the right number.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from rim.errors import UserError

ABSOLUTE = 1e-3
"""Largest distance of a right `number`: the bound of GSM-Hard's authors (github.com/reasoning-machines/pal,
`scripts/gsm_eval.py`)."""
RELATIVE = 1e-3
"""Largest distance of a right `number` as a share of the target; both bounds must hold. Targets go down to 3.5e-07,
where the absolute bound alone would count 0 as right."""

_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))
_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-", "\ufe63": "-", "\uff0d": "-"})
_WHOLE = r"[0-9]{1,3}(?: [0-9]{3})+(?![0-9])|[0-9][0-9,]*"
_NUMBER = re.compile(rf"([+-]?) ?({_WHOLE})?(\.[0-9]+)?\.?([eE][+-]?[0-9]+)?")


class AnswerError(UserError):
    """An unknown rule, or a right answer that the rule cannot read."""


def extract(rule: str, text: str) -> str | None:
    """The answer that `text` states, in the rule's normal form; None where it states none.

    Raises:
        AnswerError: the rule is unknown; the message lists the known ones.
    """
    return _rule(rule).extract(text)


def grade(rule: str, prediction: str, gold: str) -> bool:
    """Whether `prediction` states the answer `gold`.

    Raises:
        AnswerError: the rule is unknown, or cannot read `gold`.
    """
    right, found = _readable(rule, gold), extract(rule, prediction)
    return found is not None and _rule(rule).equal(found, right)


def size(rule: str, gold: str) -> str:
    """The bucket of `gold` in tables: `0`, `1 digit`, `2 digits`, ... by the digits of its whole part, or `text`.

    Raises:
        AnswerError: the rule is unknown, or cannot read `gold`.
    """
    return _rule(rule).size(_readable(rule, gold))


def _readable(rule: str, gold: str) -> str:
    found = extract(rule, gold)
    if found is None:
        raise AnswerError(
            f"the right answer {gold!r} cannot be read by the rule '{rule}': {_rule(rule).reads}. "
            f"Mend the row, or give its task another rule ({', '.join(RULES)})"
        )
    return found


def _rule(name: str) -> "Rule":
    if name not in RULES:
        raise AnswerError(f"unknown answer rule '{name}': the rules are {', '.join(RULES)}")
    return RULES[name]


def _stated(text: str) -> str:
    """The part of `text` where its answer stands, with plain minus signs, plain spaces and nothing invisible."""
    text = unicodedata.normalize("NFC", text).translate(_INVISIBLE)
    if "####" in text:
        lines = text.rsplit("####", 1)[1].strip().split("\n")
        return " ".join(lines[0].split())
    last = text.strip().split("\n")[-1]
    return " ".join(last.rsplit(">>", 1)[-1].split())


def _number(text: str) -> str | None:
    """A number as plain digits: `$1,080.50` becomes `1080.5`.

    After `####` the number may be followed by words, as in the official rule for GSM8K, the pattern
    `#### (\\-?[0-9\\.\\,]+)` without commas (github.com/openai/grade-school-math, `grade_school_math/dataset.py`).
    """
    stated = _stated(text).translate(_MINUS).replace("$", "").replace("%", "").strip()
    match = _NUMBER.match(stated)
    if match is None or not (match[2] or match[3]):
        return None
    if match.end() != len(stated) and not ("####" in text and stated[match.end()].isspace()):
        return None
    whole = re.sub("[, ]", "", match[2] or "").lstrip("0") or "0"
    fraction = (match[3] or "").rstrip("0").rstrip(".")
    digits = whole + fraction
    sign = "-" if match[1] == "-" and digits != "0" else ""
    return sign + digits + (match[4] or "").lower()


def _near(prediction: str, gold: str) -> bool:
    """Within both bounds; a target of 0 is met by 0 alone."""
    distance, target = abs(float(prediction) - float(gold)), abs(float(gold))
    return distance < ABSOLUTE and distance <= RELATIVE * target


def _digits(number: str) -> str:
    whole = abs(Decimal(number))
    count = max(whole.adjusted() + 1, 0) if whole else 0
    return "0" if count == 0 else f"{count} digit{'s' if count > 1 else ''}"


def _words(text: str) -> str | None:
    stated = _stated(text).casefold().removesuffix(".").rstrip()
    return stated or None


@dataclass(frozen=True)
class Rule:
    """How one kind of answer is read, compared and measured; `equal` and `size` take extracted answers."""

    extract: Callable[[str], str | None]
    equal: Callable[[str, str], bool]
    size: Callable[[str], str]
    reads: str


RULES: dict[str, Rule] = {
    "integer": Rule(_number, str.__eq__, _digits, "it reads one number, such as 72, -3 or $1,080"),
    "number": Rule(_number, _near, _digits, "it reads one number, such as 3431580.0, -0.5 or 2.0107e-06"),
    "text": Rule(_words, str.__eq__, lambda _: "text", "it reads any text that is not empty"),
}
"""The rules by name."""
