"""Whether right answers survive the tokenizer: encoded, decoded as scoring decodes, and graded by their own rule.

An answer that does not survive can never be given: a model that has learnt it perfectly is marked wrong.
"""

from collections import Counter
from collections.abc import Sequence
from itertools import compress
from typing import Any

from rim.data.answers import extract, grade
from rim.data.errors import DataError
from rim.data.example import Example
from rim.data.few import LIMIT, Failures

Pair = tuple[Example, list[list[int]]]
"""An example, and the token ids of its question, its answer and its steps."""

LOST = "answers that the tokenizer cannot write"


class Survival:
    """Sifts the examples of a source, in batches; every different answer is decoded once.

    `counts` has the answers that did not survive, by reason.

    Args:
        rule: by which answers are graded.
        keep: whether examples are kept all the same: those of a test set are all scored.
    """

    def __init__(self, tokenizer: Any, rule: str, keep: bool) -> None:
        self.tokenizer, self.rule, self.keep = tokenizer, rule, keep
        self.counts, self._failures = Counter[str](), Failures()
        self._trouble: dict[str, tuple[str, str]] = {}

    def sift(self, pairs: Sequence[Pair]) -> list[Pair]:
        """The examples that are kept."""
        self._try({example.answer: segments[1] for example, segments in pairs if example.answer not in self._trouble})
        kept = [self._survives(example) for example, _ in pairs]
        return list(pairs if self.keep else compress(pairs, kept))

    def require_few(self, source: str) -> None:
        """Refuse a source of which more than a few answers did not survive.

        Raises:
            DataError: says how many, and shows some.
        """
        failures = self._failures
        if failures.too_many:
            raise DataError(
                f"{source}: {failures.failed:,} of {failures.rows:,} right answers could never be given: {failures}. "
                f"An answer has to come back from its tokens so that the rule '{self.rule}' takes it for the same, and "
                f"{LIMIT} may fail. {self._way_out()}, or grade them by another rule (data.own.answer_rule)"
            )

    def _way_out(self) -> str:
        """What helps against the more frequent reason: the tokenizer's, or the rule's."""
        if 2 * self.counts[LOST] < self._failures.failed:
            return "Write answers that the rule can read (docs/answers.md has what each rule reads)"
        return (
            "Choose a backbone whose tokenizer has these characters (a byte-level one has all), write the answers in "
            "characters that it has"
        )

    def _try(self, answers: dict[str, list[int]]) -> None:
        """Find out what is wrong with answers that are new, given with their token ids."""
        end = self.tokenizer.eos_token_id
        read = [ids[: ids.index(end)] if end in ids else ids for ids in answers.values()]
        decoded = self.tokenizer.batch_decode(read, skip_special_tokens=True) if read else []
        for answer, text in zip(answers, decoded, strict=True):
            self._trouble[answer] = self._judged(answer, text.strip())

    def _judged(self, answer: str, text: str) -> tuple[str, str]:
        """Why an answer does not survive, and the same in the words of an example; empty where it does."""
        if extract(self.rule, answer) is None:
            return f"answers that the rule '{self.rule}' cannot read", f"the rule cannot read {answer!r:.60}"
        if text != answer and not grade(self.rule, text, answer):
            return LOST, f"{answer!r:.60} comes back as {text!r:.60}"
        return "", ""

    def _survives(self, example: Example) -> bool:
        reason, shown = self._trouble[example.answer]
        self._failures.rows += 1
        if reason:
            self.counts[reason] += 1
            self._failures.add(example.id, shown)
        return not reason
