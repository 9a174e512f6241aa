"""Where in a text its answer stands: shared by the rules.

What follows the last `####`; without one, the last line, after a `<<...>>` that it begins with. So a chain of thought
may come before an answer, and a step is not taken for an answer because it happens to end in the right number.
"""

import re
import unicodedata

MARK = "####"
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff"))
_MINUS = str.maketrans({"\u2212": "-", "\u2013": "-", "\ufe63": "-", "\uff0d": "-"})
_NAMED = re.compile(r"\b(?:answer|option|choice)\b\**(?:\s+\**is\b\s*:?|\s*[:=])", re.IGNORECASE)
_EQUATIONS = re.compile(r"(?:\s*<<.*?>>)*")
WRAPPER = r"\\(?:text(?:bf|rm|it|normal)?|math(?:rm|bf|it)|mbox)(?=\{)"
"""LaTeX that sets its argument in another face."""
_DECORATION = "*_\"'`\u201c\u201d\u2018\u2019$ "


def clean(text: str) -> str:
    """`text` in composed characters, with nothing invisible."""
    return unicodedata.normalize("NFC", text).translate(_INVISIBLE)


def plain_minus(text: str) -> str:
    """`text` with every kind of minus sign as `-`."""
    return text.translate(_MINUS)


def stated(text: str) -> str:
    """The part of `text` where its answer stands, spaces made plain."""
    text = clean(text)
    if MARK in text:
        return " ".join(text.rsplit(MARK, 1)[1].strip().split("\n")[0].split())
    line = text.strip().split("\n")[-1]
    begun = _EQUATIONS.match(line)
    return " ".join(line[begun.end() if begun else 0 :].split())


def named(text: str) -> str:
    """What follows the last "answer is", "Answer:" or the like in the stated part; without one, all of it."""
    part = stated(text)
    ends = [found.end() for found in _NAMED.finditer(part)]
    return part[ends[-1] :].strip() if ends else part


def bare(text: str) -> str:
    """`named`, out of a box, quotes and emphasis."""
    part = named(text)
    inside = boxed(part)
    return re.sub(rf"^{WRAPPER}\{{(.*)\}}$", r"\1", (part if inside is None else inside).strip(_DECORATION)).strip()


def boxed(text: str) -> str | None:
    """The content of the last `\\boxed`, of a box that does not close all that follows; None: there is no box.

    Braces nest; `\\boxed 2` without braces holds one word, as two rows of MATH have it.
    """
    start = max(text.rfind("\\boxed"), text.rfind("\\fbox"))
    if start < 0:
        return None
    rest = re.sub(r"^\\(?:boxed|fbox)\s*", "", text[start:])
    if not rest.startswith("{"):
        return rest.split("$")[0].split(" ")[0]
    depth = 0
    for brace in re.finditer(r"\\.|[{}]", rest, re.DOTALL):  # a backslash takes the sign after it: `\\` ends a line
        depth += {"{": 1, "}": -1}.get(brace[0], 0)
        if depth == 0:
            return rest[1 : brace.start()]
    return rest[1:]
