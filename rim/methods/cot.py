"""Written chains: question, the steps as text, a mark, the answer. The ceiling that RiM is compared with."""

from rim.backbone.decode import Prompt
from rim.data.encode import EncodedExample
from rim.methods.method import Method
from rim.tree import Kind, Node, Tree

MARK = "####"
"""Stands before the answer of a chain, as in GSM8K."""


class ChainOfThought(Method):
    """A tree with one leaf: ordinary causal text."""

    objectives = ("chain",)

    def layout(self, example: EncodedExample, objective: str, progress: float) -> Tree:
        """Question, steps and answer, every token after the question weighed alike."""
        parts = [(Kind.STEP, (*step, *self.separator)) for step in example.steps]
        parts.append((Kind.ANSWER, (*self.answer_mark, *example.answer, self.special.end)))
        tokens = sum(len(ids) for _, ids in parts)
        each = 1 / tokens if self.config.method.within_readout == "mean" else 1.0
        nodes = [Node(Kind.QUESTION, example.question)]
        for parent, (kind, ids) in enumerate(parts):
            nodes.append(Node(kind, ids, parent, each))
        return Tree(tuple(nodes), self.count([1.0]))

    def prompt(self, example: EncodedExample, objective: str | None = None, blocks: int | None = None) -> Prompt:
        """The question; steps and answer are generated."""
        return Prompt(Tree((Node(Kind.QUESTION, example.question),)), (0,))

    def answer_tokens(self, longest_answer: int, longest_chain: int) -> int:
        """The whole chain is generated."""
        return longest_chain

    def read(self, text: str) -> str:
        """What stands after the last mark; nothing where the chain did not come to an answer."""
        return text.rsplit(MARK, 1)[1].strip() if MARK in text else ""
