"""Pause tokens: the positions of RiM's blocks, taught by the answer alone (Goyal et al., arXiv 2310.02226).

What RiM gains beyond this is due to its curriculum, not to the room that blocks give.
"""

from rim.backbone.decode import Prompt
from rim.base.tree import Kind, Tree
from rim.data.encode import EncodedExample
from rim.methods.blocks import Blocks
from rim.settings import Stage
from rim.settings.progress import Progress


class Pause(Blocks):
    """One answer, after all blocks."""

    def layout(self, example: EncodedExample, progress: Progress) -> Tree:
        """Question and K blocks, and the answer after the last one."""
        blocks = self.config.memory.blocks
        trunk = self.trunk(example, blocks)
        self.read(trunk, Kind.ANSWER, example.answer, blocks, 1.0, example)
        return Tree(tuple(trunk.nodes), self.count([1.0]))

    def prompt(self, example: EncodedExample, stage: Stage | None = None, blocks: int | None = None) -> Prompt:
        """Question and blocks; no block but the last was taught to be read."""
        blocks = self.config.memory.blocks if blocks is None else blocks
        return self.read_after(example, blocks, (blocks,))

    def weights_at(self, progress: Progress, steps: int) -> dict[str, float]:
        """One answer: no weights."""
        return {}
