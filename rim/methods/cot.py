"""Chains of thought: question, the steps as text, a mark, the answer. The ceiling that RiM is compared with.

`data.steps` chooses sentences, equations, or bare results: the short chains that one would write instead of RiM.
"""

from rim.base.tree import Kind, Node, Tree
from rim.data.encode import EncodedExample
from rim.methods.method import Method
from rim.settings import Stage
from rim.settings.progress import Progress


class ChainOfThought(Method):
    """A tree with one leaf: ordinary causal text."""

    def layout(self, example: EncodedExample, progress: Progress) -> Tree:
        """Question, steps and answer, every token after the question weighed alike."""
        nodes = [Node(Kind.QUESTION, example.question)]
        self.write(nodes, example, 0)
        return Tree(tuple(nodes), self.count([1.0]))

    def writes_chain(self, stage: Stage | None = None) -> bool:
        """Always: steps and answer are generated."""
        return True
