"""Answers in LaTeX, as those of MATH: decided by text and by numbers where these suffice, else by math-verify.

Sources: github.com/hendrycks/math, `modeling/math_equivalence.py` (`is_equiv`, text alone), from which dropped spaces,
signs and units are taken, and github.com/huggingface/Math-Verify. Where the latter is known to be generous, the text
decides before it is asked: numbers are equal exactly (0.333333 is not 1/3), bases, units and kinds of brackets agree
where they are given, and words are compared as words (it takes `even` and `neve` for the same product).
"""

import re
from functools import lru_cache
from itertools import accumulate

from rim.data.answers import numeric
from rim.data.answers.judge import Judge
from rim.data.answers.stated import MARK, WRAPPER, boxed, clean, named, plain_minus, stated

LONGEST = 500
"""Characters of the longest answer that is sent to math-verify; the longest of MATH have about 160."""

DEEPEST = 20
"""Brackets within brackets of an answer that is sent to math-verify, whose parser takes exponential time over them."""

_judge = Judge()
_DROPPED = re.compile(
    r"\\(?:left|right|[bB]igg?[lr]?)(?![A-Za-z])|\\displaystyle|(?<!\\)\\[!,;:]|\\?\$"
    r"|\^(?:\\circ|\{\\circ\})|\^?(?:\u00b0|\\degree(?![A-Za-z]))"
)
_TEXT = re.compile(WRAPPER)
_UNIT = re.compile(
    r"(?P<body>.*(?:[0-9})]|\\pi))\\text\{(?P<unit>[^{}0-9]*)\}(?:\^(?P<power>[23]|\{[23]\}))?", re.DOTALL
)
_NO_UNITS = {"hundred", "thousand", "million", "billion", "trillion", "dozen", "percent"}
_NO_UNITS |= {"and", "half", "less", "more", "not", "or", "than"}
"""Words that make another answer of what they follow."""
_FRACTION = re.compile(r"(-?)([0-9]+)?\\frac(?:\{(-?[0-9]+)\}\{([0-9]+)\}|([0-9])([0-9]))")
_GREEK = {"gamma", "delta", "theta", "lambda", "xi", "pi", "sigma", "phi", "psi", "omega"}
_BASE = re.compile(r"[0-9A-Z]+_(?:[0-9]+|\{[0-9]+\})")


def answer(text: str) -> str | None:
    """The last box, after `####` if that is there; without a box what the other rules take for the answer."""
    part = stated(text) if MARK in text else clean(text)
    inside = boxed(part)
    return _plain(named(text) if inside is None else inside) or None


def equal(found: str, right: str) -> bool:
    """Whether two answers, as `answer` gives them, are the same; `undecided` counts those that nobody could tell."""
    if found == right:
        return True
    (found, unit), (right, wanted) = _without_unit(found), _without_unit(right)
    if unit and wanted and unit != wanted:
        return False
    if found == right:
        return True
    for compare in (_words, _bases, _numbers, _cases, _brackets):
        verdict = compare(found, right)
        if verdict is not None:
            return verdict
    return _readable(found) and _readable(right) and _equivalent(found, right)


def undecided() -> int:
    """Comparisons of this process that ended at a limit, and count as wrong."""
    return _judge.undecided


def size(found: str) -> str:
    """Digits of a number, else `expression`."""
    number = numeric.number(_as_fraction(_without_unit(found)[0]))
    return "expression" if number is None else numeric.size(number)


_equivalent = lru_cache(maxsize=65536)(_judge.equal)


def _plain(latex: str) -> str:
    """Without what changes the looks only, and without a final stop."""
    latex = re.sub(r"(?<!\\)\\ |~", " ", _DROPPED.sub("", plain_minus(latex))).replace("{,}", ",")
    latex = _TEXT.sub(r"\\text", re.sub(r"\\[dtc]frac(?![A-Za-z])", r"\\frac", latex))
    latex = re.sub(r"\\mathbb ?([A-Z])", r"\\mathbb{\1}", latex.replace("\\varnothing", "\\emptyset"))
    latex = re.sub(r"(?<![A-Za-z0-9]) | (?![A-Za-z0-9])", "", " ".join(latex.split())).rstrip(".,;: ")
    return latex[:-1] if latex.endswith("}") and latex.count("}") > latex.count("{") else latex


def _without_unit(latex: str) -> tuple[str, str]:
    """A unit is `\\text{...}` at the end, after a number or a bracket; `5\\text{ million}` is another number."""
    match = _UNIT.fullmatch(latex)
    if match is None:
        return latex, ""
    words = re.findall(r"[^\W\d_]+", match["unit"].casefold())
    if not _NO_UNITS.isdisjoint(words):
        return latex, ""
    return match["body"], "".join(words).removesuffix("s") + (match["power"] or "").strip("{}")


def _words(found: str, right: str) -> bool | None:
    """Words and letters of options, as text; case is free where there are several letters."""
    plain = [re.sub(r"\\text\{([^{}]*)\}", r"\1", each) for each in (found, right)]
    plain = [re.sub(r"\(([A-Z])\)", r"\1", each.strip()) for each in plain]
    if all(re.fullmatch("[A-Z]+", each) for each in plain):  # points or options, whose order counts
        return plain[0] == plain[1]
    if not any(_is_word(*pair) for pair in zip(plain, (found, right), strict=True)):
        return None
    return plain[0] == plain[1] or (min(map(len, plain)) > 1 and plain[0].casefold() == plain[1].casefold())


def _is_word(plain: str, latex: str) -> bool:
    wrapped = re.fullmatch(r"\\text\{[^{}]*\}", latex) is not None
    return wrapped or re.fullmatch(r"[A-Z]|[A-Za-z][A-Za-z' -]{3,}", plain) is not None


def _bases(found: str, right: str) -> bool | None:
    """Numbers in a base, `1210_5`, as text: math-verify ignores the base."""
    if not (_BASE.fullmatch(found) or _BASE.fullmatch(right)):
        return None
    return re.sub("[{}]", "", found) == re.sub("[{}]", "", right)


def _numbers(found: str, right: str) -> bool | None:
    values = [numeric.number(_as_fraction(each)) for each in (found, right)]
    return None if None in values else values[0] == values[1]


def _cases(found: str, right: str) -> bool | None:
    """Symbols that differ in nothing but their case are different: math-verify takes `N` for `n`."""
    one, other = _symbols(found), _symbols(right)
    return False if one != other and set(map(str.lower, one)) == set(map(str.lower, other)) else None


def _symbols(latex: str) -> set[str]:
    """Letters and Greek letters outside words."""
    names = re.findall(r"\\[A-Za-z]+|[A-Za-z]", re.sub(r"\\text\{[^{}]*\}", "", latex))
    return {name for name in names if len(name) == 1 or name[1:].lower() in _GREEK}


def _as_fraction(latex: str) -> str:
    r"""`1\frac{1}{2}` as `1 1/2`."""
    match = _FRACTION.fullmatch(latex)
    if match is None:
        return latex
    sign, whole, over, under, short_over, short_under = match.groups()
    over, under = over or short_over, under or short_under
    if over.startswith("-"):
        sign, over = ("" if sign else "-"), over[1:]
    return f"{sign}{whole} {over}/{under}" if whole else f"{sign}{over}/{under}"


def _brackets(found: str, right: str) -> bool | None:
    """Lists in different kinds of brackets are different: a pair is no set, and no open interval is."""
    if "," in found and "," in right and _kind(found) != _kind(right):
        return False
    return None


def _kind(latex: str) -> str:
    latex = re.sub(r"^[A-Za-z]\\in(?![A-Za-z])", "", latex)
    if latex.startswith("\\{") and latex.endswith("\\}"):
        return "set"
    return "pair" if latex[0] in "([" and latex[-1] in ")]" else "list"


def _readable(latex: str) -> bool:
    """Short, with braces that close, and not too deep."""
    depths = list(accumulate((c in "({[") - (c in ")}]") for c in latex[: LONGEST + 1]))
    return len(latex) <= LONGEST and latex.count("{") == latex.count("}") and max(depths, default=0) <= DEEPEST
