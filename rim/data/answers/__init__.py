"""Rules of answers: what a text's answer is, whether it is right, and how large it is.

A rule is chosen by the task, by name, and has a version that stands beside every score. `docs/answers.md` says of each
what is read and what is equal; where a text's answer stands is `stated.py`.
"""

from rim.data.answers import latex, numeric, words
from rim.data.answers.latex import undecided
from rim.data.answers.rule import AnswerError, Rule

__all__ = ["RULES", "AnswerError", "Rule", "extract", "grade", "reads", "size", "undecided"]

_ANY = "it reads any text that is not empty"
_NUMBER = "it reads one number, such as 72, -3 or $1,080"

RULES: dict[str, Rule] = {
    "integer": Rule(numeric.number, str.__eq__, numeric.size, "numbers", _NUMBER, revision=3),
    "number": Rule(
        numeric.number,
        numeric.near,
        numeric.size,
        "numbers",
        "it reads one number, such as 3431580.0, -0.5 or 2.0107e-06",
        revision=3,
    ),
    "last_number": Rule(numeric.last_number, str.__eq__, numeric.size, "numbers", _NUMBER, whole=True, revision=2),
    "choice": Rule(
        words.choice, str.__eq__, str, "letters of options", "it reads one letter from A to J, such as B", revision=2
    ),
    "yes_no": Rule(words.yes_no, str.__eq__, str, "yes or no", "it reads yes, no, true or false", revision=2),
    "latex": Rule(latex.answer, latex.equal, latex.size, "anything", _ANY, library="math-verify", revision=2),
    "sentence": Rule(words.sentence, str.__eq__, lambda _: "sentence", "anything", _ANY, revision=2),
    "letters": Rule(
        words.letters,
        str.__eq__,
        lambda found: f"{len(found)} letters",
        "strings of letters",
        "it reads letters alone",
        revision=2,
    ),
    "text": Rule(words.text, str.__eq__, lambda _: "text", "anything", _ANY, revision=2),
}
"""The rules by name."""


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
    """The bucket of `gold` in tables: `0`, `1 digit`, `2 digits`, ... by the digits of its whole part; or its kind.

    Raises:
        AnswerError: the rule is unknown, or cannot read `gold`.
    """
    return _rule(rule).size(_readable(rule, gold))


def reads(rule: str, own: str) -> bool:
    """Whether a rule can read the right answers of a task whose own rule is `own`.

    Raises:
        AnswerError: one of the rules is unknown.
    """
    return _rule(rule).reads in ("anything", _rule(own).reads)


def _readable(rule: str, gold: str) -> str:
    found = extract(rule, gold)
    if found is None:
        raise AnswerError(
            f"the right answer {gold!r} cannot be read by the rule '{rule}': {_rule(rule).example}. "
            f"Mend the row, or give its task another rule ({', '.join(RULES)})"
        )
    return found


def _rule(name: str) -> Rule:
    if name not in RULES:
        raise AnswerError(f"unknown answer rule '{name}': the rules are {', '.join(RULES)}")
    return RULES[name]
