"""How many tokens an answer may take: as many as the longest one among the examples that a run reads."""

from collections.abc import Iterable
from dataclasses import dataclass

from rim.data.joined import Split
from rim.methods.method import Method
from rim.settings import Evaluation


@dataclass(frozen=True)
class Lengths:
    """Most tokens to generate, end included: where the answer alone is generated, and where a chain comes before it."""

    answer: int
    chain: int

    @classmethod
    def of(cls, method: Method, splits: Iterable[Split]) -> "Lengths":
        """Those of the longest answer in some splits, and of their longest whole chain.

        A test set counts with its own: its answers may be longer than any that trains. No chain costs more than that,
        though a model may never end one.
        """
        separator, mark = len(method.separator), len(method.answer_mark)
        lengths = [(split.longest.answer, int(split.chain_lengths(separator).max())) for split in splits]
        return cls(max(answer for answer, _ in lengths) + 1, max(chain for _, chain in lengths) + mark + 1)

    def or_longer(self, other: "Lengths") -> "Lengths":
        return Lengths(max(self.answer, other.answer), max(self.chain, other.chain))

    def as_set(self, settings: Evaluation) -> "Lengths":
        """These lengths, or the one that the settings name."""
        return Lengths(settings.max_new_tokens or self.answer, settings.max_new_tokens or self.chain)
