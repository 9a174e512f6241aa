"""RiM: memory blocks read in exactly one pass, grounded in steps and refined on answers (arXiv 2605.30343).

Layouts and open choices stand in `blocks.py`. Two extensions keep the single pass at inference:
`method.parallel_steps` (there), and `method.distillation`: the states before the last answer also follow those of the
chain of thought, which hangs from the question in training (CODI).
"""

from rim.base.tree import Kind, Node, Pair, Tree
from rim.data.encode import EncodedExample
from rim.methods.blocks import Blocks
from rim.settings.progress import Progress


class MemoryBlocks(Blocks):
    """The method of the paper."""

    def layout(self, example: EncodedExample, progress: Progress) -> Tree:
        """Blocks and readouts, and the chain of thought as a teacher where one is asked for."""
        tree = super().layout(example, progress)
        weight = self.config.method.distillation
        answers = [index for index, node in enumerate(tree.nodes) if node.kind == Kind.ANSWER]
        return self._taught(tree, example, weight, answers[-1]) if weight and answers else tree  # answers may fade

    def _taught(self, tree: Tree, example: EncodedExample, weight: float, student: int) -> Tree:
        """The losses of the teacher weigh like those of one readout of the example, times their settings."""
        nodes = list(tree.nodes)
        self.write(nodes, example, self._question(nodes, example), self.config.method.teacher * tree.count)
        pair = Pair(student, len(nodes) - 1, weight * tree.count)
        return Tree(tuple(nodes), tree.count, (pair,))

    def _question(self, nodes: list[Node], example: EncodedExample) -> int:
        """The node of the plain question, before a chain of thought: a root of its own where blocks stand within."""
        if nodes[0].kind == Kind.QUESTION and len(nodes[0].ids) == len(example.question):
            return 0
        nodes.append(Node(Kind.QUESTION, example.question))
        return len(nodes) - 1
