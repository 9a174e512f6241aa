"""Words: whole texts and sentences, letters of options, yes and no, and strings of letters."""

import re

from rim.data.answers.stated import bare, stated

_END = r"[.,;:!)\]*\"' ]*$"
_OPTION = re.compile(
    rf"(?:[(\uff08]([A-J])[)\uff09]|\[([A-J])\]|([A-J])[.):\]\u3001\uff0e\uff09])(?P<rest>.*)|([A-J]){_END}", re.I
)
_CALLED = re.compile(r"^(?:the\s+)?(?:option|choice|letter)\b[\s*:]*", re.IGNORECASE)
_REFUSED = re.compile(
    r"\W*is\s+(?:wrong|incorrect|false|not\s+(?:the\s+)?(?:correct|right|true|answer))\b", re.IGNORECASE
)
_TRUTH = re.compile(r"(yes|no|true|false)\b(?P<rest>.*)", re.IGNORECASE)
_YES, _NO = {"yes", "true"}, {"no", "false"}


def text(generated: str) -> str | None:
    """Any text, but for case, spaces and a final full stop."""
    return stated(generated).casefold().removesuffix(".").rstrip() or None


def sentence(generated: str) -> str | None:
    """The sentence as it stands, its case, articles and full stop included; only spaces are made plain.

    Source: github.com/facebookresearch/coconut, `run.py`, for ProsQA: what follows the last `#`, stripped, equals the
    answer. It takes commas out of the prediction alone; no sentence of ProsQA has one, so here they stay.
    """
    return stated(generated) or None


def choice(generated: str) -> str | None:
    """The letter, A to J, as a capital: `B`, `(b)`, `B.`, `B) 12`, `Answer: B`, `the answer is option (B) 12`.

    A letter with a bracket or a stop may be followed by its option; a bare one stands alone, since "A car" chooses
    nothing; another letter of the same form means that none is chosen, and so does `(B) is wrong`.

    Source: the letter itself is compared, as in github.com/google-deepmind/AQuA (`correct`); finding it is stricter
    than the first A to E anywhere of github.com/kojima-takeshi188/zero_shot_cot, `utils.py`.
    """
    match = _OPTION.fullmatch(_CALLED.sub("", bare(generated)))
    if match is None:
        return None
    letter = next(group for group in match.group(1, 2, 3, 5) if group)
    rest = match["rest"] or ""
    letters = "A-J" if letter.isupper() else "a-j"
    another = rf"(?<!\w)[(\[]?[{letters}][)\]\uff09]|^\W*(?:(?i:or|and)\b)?\W*[{letters}]\W*$"
    if _REFUSED.match(rest) or re.search(another, rest):
        return None
    return letter.upper()


def yes_no(generated: str) -> str | None:
    """`yes` (or true) or `no` (or false), alone or before a comma or stop; what follows must not say the opposite.

    Source: StrategyQA's answers are true and false (github.com/eladsegal/strategyqa); reading yes and no is the first
    of both words in github.com/kojima-takeshi188/zero_shot_cot, `utils.py`, which asks for less.
    """
    match = _TRUTH.fullmatch(bare(generated))
    if match is None or not re.match(r"\W*$|[^\w\s]", match["rest"]):
        return None
    is_yes = match[1].casefold() in _YES
    said = set(re.findall(r"\w+", match["rest"].casefold()))
    return None if said & (_NO if is_yes else _YES) else ("yes" if is_yes else "no")


def letters(generated: str) -> str | None:
    """Letters alone, case folded: `y-a-j-o` is `yajo`; a digit among them makes it another thing.

    Source: github.com/kojima-takeshi188/zero_shot_cot, `utils.py`, takes out quotes, stops and spaces.
    """
    part = re.sub(r"[\s\"'`.,\u201c\u201d\u2018\u2019*+-]", "", bare(generated))
    return part.casefold() if part.isalpha() else None
