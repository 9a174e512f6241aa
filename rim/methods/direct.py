"""Direct answers: question, then the answer, with no steps and no blocks. The trained K = 0 control of RiM."""

from rim.base.tree import Kind, Node, Tree
from rim.data.encode import EncodedExample
from rim.methods.method import Method
from rim.settings.progress import Progress


class Direct(Method):
    """The answer as the only leaf of the question."""

    def layout(self, example: EncodedExample, progress: Progress) -> Tree:
        """Question and answer."""
        nodes = [Node(Kind.QUESTION, example.question)]
        self.add_leaf(nodes, Kind.ANSWER, example.answer, 0, 1.0)
        return Tree(tuple(nodes), self.count([1.0]))
