"""Stepwise internalisation (iCoT-SI, arXiv 2405.14838): a chain of thought that loses its first tokens in training.

Stages: whole chains; removal; the answer alone. In removal the number of removed tokens grows by
`method.removed_per_epoch`, at `method.removal_limit` the whole chain goes ("when 39 or more tokens are scheduled to be
removed"), and a few examples lose a little more (`method.removal_smoothing`). The optimiser is reset at every removal.
"""

import math
from random import Random

from rim.base.tree import Kind, Node, Tree
from rim.data.encode import EncodedExample
from rim.methods.method import Method
from rim.settings import Stage
from rim.settings.progress import Progress


class Internalised(Method):
    """Answers in one pass, without any memory."""

    cue_is_mark = True

    def layout(self, example: EncodedExample, progress: Progress) -> Tree:
        """Question, what is left of the steps, and the answer."""
        nodes = [Node(Kind.QUESTION, example.question)]
        if progress.objective == "answer":
            self.add_leaf(nodes, Kind.ANSWER, example.answer, 0, 1.0)
            return Tree(tuple(nodes), self.count([1.0]))
        chain = [token for step in example.steps for token in (*step, *self.separator)]
        left = chain[self._removed(example, progress, len(chain)) :]
        self.write_tokens(nodes, example, 0, [left] if left else [])
        return Tree(tuple(nodes), self.count([1.0]))

    def writes_chain(self, stage: Stage | None = None) -> bool:
        """Until the last stage, in which the mark is given and no longer generated."""
        return stage is not None and stage.objective != "answer"

    def level(self, progress: Progress) -> int:
        """Number of tokens that are to be removed at this moment; the limit stands for all of them."""
        if progress.objective != "removal":
            return 0
        method = self.config.method
        if method.removed_per_epoch is None:
            removed = progress.share * (method.removal_limit + 1)
        else:
            removed = progress.epochs * method.removed_per_epoch
        return min(math.floor(removed), method.removal_limit)

    def _removed(self, example: EncodedExample, progress: Progress, tokens: int) -> int:
        """How many of its tokens this example's chain loses at this moment."""
        if progress.objective != "removal":
            return 0
        removed = self.level(progress)
        return tokens if removed >= self.config.method.removal_limit else removed + self._extra(example, progress)

    def _extra(self, example: EncodedExample, progress: Progress) -> int:
        """k with probability proportional to exp(-λ k): an exponential variable, rounded down."""
        smoothing = self.config.method.removal_smoothing
        if not smoothing:
            return 0
        random = Random(f"{self.config.run.seed} {progress.stage.name} {progress.update} {example.id}")
        return math.floor(random.expovariate(smoothing))
