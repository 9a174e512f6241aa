"""Questions with options: one option per line, each after its letter, `A. ...`; the answer is a letter."""

import re
from collections.abc import Sequence

from rim.data.files import clean
from rim.data.published import Row

LETTERS = "ABCDEFGH"
FEWEST = 2
FEWEST_LABELS = 2
"""A letter in one option alone may belong to its text; where two options have their own letters, all are labels."""


def lay_out(row: Row, question: str, options: Sequence[str], labelled: bool = True) -> str:
    """A question and its options, each on a line of its own; `labelled`: copies put letters before them.

    Raises:
        DataError: an option is empty, or there are too many or too few.
    """
    if not FEWEST <= len(options) <= len(LETTERS):
        raise row.broken(f"{len(options)} options", f"a question has {FEWEST} to {len(LETTERS)}")
    texts = without_labels(options) if labelled else [" ".join(option.split()) for option in options]
    if not all(texts):
        raise row.broken(f"option {LETTERS[texts.index('')]} is empty", "every option is a text")
    return "\n".join([clean(question), *(f"{letter}. {text}" for letter, text in zip(LETTERS, texts, strict=False))])


def without_labels(options: Sequence[str]) -> list[str]:
    """Options without the letters that copies put before them: `A.`, `(a)`, `A)`, `A、`, `A:` and so on.

    A letter is taken for a label where it is that of the option's place, and `FEWEST_LABELS` options have their own, be
    it inside (`In the B.NEC game` for `B.In the NEC game`). A bare one, as in `C The ...`, counts where all others have
    one.
    """
    texts = [" ".join(option.split()) for option in options]
    placed = list(zip(LETTERS, texts, strict=False))
    labelled = [text for letter, text in placed if _label(letter).match(text) or re.search(rf"\b{letter}\.", text)]
    if len(labelled) < FEWEST_LABELS:
        return texts
    bare = [_label(letter).sub("", text, count=1) for letter, text in placed]
    if not any(bare):  # `A.`, `B.` and so on are the options themselves
        return texts
    unlabelled = [place for place, (text, rest) in enumerate(zip(texts, bare, strict=True)) if text == rest]
    if len(unlabelled) == 1:
        (place,) = unlabelled
        bare[place] = re.sub(rf"^{LETTERS[place]} (?=[A-Z])", "", bare[place])
    return bare


def letter(row: Row, value: object, count: int) -> str:
    """The right option's letter, in capitals, of a letter as it is published or of a place from 0.

    Raises:
        DataError: there is no such option.
    """
    known = LETTERS[:count]
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count:
        return known[value]
    bare = re.sub(r"[\s().:、．]", "", value).upper() if isinstance(value, str) else ""
    if len(bare) != 1 or bare not in known:
        raise row.broken(f"the right option is {value!r:.60}", f"it is one of {', '.join(known)}")
    return bare


def _label(letter: str) -> re.Pattern[str]:
    """A letter with what sets it off; a bare letter before a space is none."""
    return re.compile(rf"^[(（\[]?\s*{letter}\s*[)）\].:、．：]\s*", re.IGNORECASE)
