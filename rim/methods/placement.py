"""Where blocks stand in a question, and what a readout of block k follows (`memory.placement`).

    after_question     question ── 1 ── 2 ── 3                 the readout hangs from its block

    before_question    1 ────────── 2 ────────── 3             the question hangs from every block, the readout from it
                       └ question   └ question   └ question

    sentence_ends      s1 ── 1 ── s2 ── 2 ── s3 ── 3           block k stands after sentence ceil(k S / K) of S
                             └ s2 s3    └ s3                   the rest of the question hangs, and from it the readout

One principle for all: a readout after block k reads the text in which the first k blocks stand and no further one.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

from transformers import PreTrainedTokenizerBase

from rim.base.tree import Ids, Kind, Node
from rim.methods.sentences import Sentences
from rim.settings import Config

Cuts = Callable[[Ids, int], Sequence[int]]
"""(question, number of blocks K) → for each block how many of the question's tokens stand before it."""


class Trunk:
    """A question with its blocks; readouts are added to `nodes`.

    Args:
        question: all its tokens.
        cuts: how many of them stand before each block, in order.
        block: number of a block, from 1 on → its token ids.
    """

    def __init__(self, question: Ids, cuts: Sequence[int], block: Callable[[int], tuple[int, ...]]) -> None:
        self.nodes: list[Node] = []
        self.blocks: list[int] = []
        """Index of the node of each block."""
        self._question, self._cuts = question, cuts
        self._ends: dict[int, int] = {}
        before = 0
        for number, cut in enumerate(cuts, 1):
            self._text(before, cut)
            self.nodes.append(_memory(block(number), self._last(), number))
            self.blocks.append(len(self.nodes) - 1)
            before = cut
        if not cuts:
            self._text(0, len(question))

    def end(self, block: int) -> int:
        """The node that a readout of a block follows; what is left of the question is added at the first call.

        The block itself where nothing is left, and the question where there are no blocks.
        """
        if block not in self._ends:
            self._ends[block] = self._rest(block) if self.blocks else 0
        return self._ends[block]

    def _rest(self, block: int) -> int:
        parent, cut = self.blocks[block - 1], self._cuts[block - 1]
        if cut == len(self._question):
            return parent
        self.nodes.append(Node(Kind.QUESTION, self._question[cut:], parent))
        return len(self.nodes) - 1

    def _text(self, start: int, stop: int) -> None:
        if start < stop:
            self.nodes.append(Node(Kind.QUESTION, self._question[start:stop], self._last()))

    def _last(self) -> int | None:
        return len(self.nodes) - 1 if self.nodes else None


def cuts_of(config: Config, tokenizer: PreTrainedTokenizerBase) -> Cuts:
    """The rule by which a run's blocks stand.

    A token that begins every text of the tokenizer's family stays in front of blocks that stand before the question.
    """
    if config.memory.placement == "after_question":
        return lambda question, blocks: [len(question)] * blocks
    if config.memory.placement == "before_question":
        begin = tokenizer.bos_token_id
        return lambda question, blocks: [int(question[0] == begin)] * blocks
    ends = Sentences(tokenizer, config.data.question_end).ends
    return lambda question, blocks: _spread(ends(question), blocks)


def _spread(ends: Sequence[int], blocks: int) -> list[int]:
    """Block k after sentence ceil(k S / K), so that the last one stands after the question."""
    return [ends[-(-number * len(ends) // blocks) - 1] for number in range(1, blocks + 1)]


@lru_cache(maxsize=4096)
def _memory(block: tuple[int, ...], parent: int | None, number: int) -> Node:
    """Blocks are the same in most trees, and most of their nodes."""
    return Node(Kind.MEMORY, block, parent, readout=number)
