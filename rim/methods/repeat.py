"""The question read several times, then the answer: what reading again gains without a block, a step or a curriculum.

Causal attention reads a question from left to right. In a further reading every token sees the whole question, so a
gain of memory blocks has to be one over this baseline, too. One pass and no generated token before the answer.
"""

from transformers import PreTrainedTokenizerBase

from rim.backbone.decode import Prompt
from rim.base.tree import Kind, Node, Tree
from rim.data.encode import EncodedExample
from rim.methods.method import Method
from rim.settings import Config, Stage
from rim.settings.progress import Progress


class Repeat(Method):
    """The answer as the only leaf of `method.repeats` readings of the question."""

    def __init__(self, config: Config, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__(config, tokenizer)
        self.begin = tokenizer.bos_token_id

    def layout(self, example: EncodedExample, progress: Progress) -> Tree:
        """The readings in a row, and the answer."""
        nodes = self._readings(example)
        self.add_leaf(nodes, Kind.ANSWER, example.answer, len(nodes) - 1, 1.0)
        return Tree(tuple(nodes), self.count([1.0]))

    def prompt(self, example: EncodedExample, stage: Stage | None = None, blocks: int | None = None) -> Prompt:
        """The readings in a row."""
        nodes = self._readings(example)
        return Prompt(Tree(tuple(nodes)), (len(nodes) - 1,), self.cue)

    def _readings(self, example: EncodedExample) -> list[Node]:
        """A token that begins every text of the tokenizer's family stands before the first reading alone."""
        again = example.question[int(example.question[0] == self.begin) :]
        readings = [example.question] + [again] * (self.config.method.repeats - 1)
        return [Node(Kind.QUESTION, ids, number - 1 if number else None) for number, ids in enumerate(readings)]
