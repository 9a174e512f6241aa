"""What a rule is, and the error of right answers that cannot be read."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from rim.base.errors import UserError


class AnswerError(UserError):
    """An unknown rule, or a right answer that the rule cannot read."""


Reads = Literal["numbers", "letters of options", "yes or no", "strings of letters", "anything"]
"""Which right answers a rule can read."""


@dataclass(frozen=True)
class Rule:
    """How one kind of answer is read, compared and measured.

    `extract` gives the answer that a text states in normal form, or None; `equal(found, right)` and `size` take such
    normal forms. `example` says in words what a right answer looks like. `whole`: the rule looks for the answer
    anywhere in what was generated, a chain of thought included. `revision` changes with whatever can change a mark;
    where a library decides as well, its version counts, too.
    """

    extract: Callable[[str], str | None]
    equal: Callable[[str, str], bool]
    size: Callable[[str], str]
    reads: Reads
    example: str
    revision: int = 1
    library: str = ""
    whole: bool = False

    @property
    def version(self) -> str:
        """Stands beside every score: marks of two versions do not compare."""
        return f"{self.revision} with {self.library} {version(self.library)}" if self.library else str(self.revision)
