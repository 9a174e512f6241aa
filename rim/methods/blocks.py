"""Fixed blocks after a question, and RiM's two ways of teaching them (arXiv 2605.30343).

    question ── block 1 ── block 2 ── … ── block K          trunk
                   │          │               │
               readout 1   readout 2      readout K         leaves

Where blocks stand otherwise (`memory.placement`) is `placement.py`.

In grounding an example with T steps has T blocks and block t is read as a step; in refinement there are always K blocks
and each is read as the answer. With `method.refinement_steps` block t is read as a step there, too. The open choices
are fields of `config.method` and `config.memory`.

With `method.parallel_steps` the memory tokens of block t also predict the first tokens of step t, all at once, each one
token (LOTUS, arXiv 2606.31779; a shorter step is filled up with the end token). They are leaves of a single token,
which is a target and never read, so this costs logits and no positions.
"""

from collections.abc import Sequence
from dataclasses import replace

from transformers import PreTrainedTokenizerBase

from rim.backbone.backbone import Backbone
from rim.backbone.decode import Prompt
from rim.backbone.tokenizer import Slots, block_tokens
from rim.base.tree import Ids, Kind, Node, Tree
from rim.data.encode import EncodedExample
from rim.methods.method import Method
from rim.methods.placement import Trunk, cuts_of
from rim.settings import Config, Stage
from rim.settings.checks import CONTROLS, WITHOUT_ORDER
from rim.settings.progress import Progress


class Blocks(Method):
    """Shared by the methods whose answers are read after blocks; each example's tree is one packed pass."""

    def __init__(self, config: Config, tokenizer: PreTrainedTokenizerBase) -> None:
        super().__init__(config, tokenizer)
        self.block_tokens = block_tokens(tokenizer, Slots.of(config))
        self.cuts = cuts_of(config, tokenizer)
        self.controls = CONTROLS if config.memory.blocks > 1 else WITHOUT_ORDER
        if config.memory.placement == "before_question":  # blocks that know no question have one state in all examples
            self.controls = ("removed",)

    def add_modules(self, backbone: Backbone) -> None:
        """Let blocks enter above layer 0, where the settings say so.

        Raises:
            BackboneError: the model's embeddings are narrower than its states, and these are compared or inserted.
        """
        memory = self.config.memory
        if self.config.method.distillation:
            backbone.require_even_width(f"method.distillation = {self.config.method.distillation:g}")
        if memory.insertion_layer:
            backbone.insert_memory(memory.insertion_layer, position=memory.insertion_position)

    def layout(self, example: EncodedExample, progress: Progress) -> Tree:
        """The trunk with one block per step (grounding) or K blocks (refinement), and its readouts."""
        weights, answers = self._weights(len(example.steps), progress)
        shift = 1 if self.config.method.grounding_target == "next_step" else 0
        steps = list(zip(example.steps[shift:], weights, strict=False))  # after block t stands step t+1 (or step t)
        trunk = self.trunk(example, max(answers))
        for block, (step, weight) in enumerate(steps, 1):
            self.read(trunk, Kind.STEP, step, block, weight, example)
        for block, weight in answers.items():
            self.read(trunk, Kind.ANSWER, example.answer, block, weight, example)
        return self._with_parallel(trunk, example, self.count([*(weight for _, weight in steps), *answers.values()]))

    def prompt(self, example: EncodedExample, stage: Stage | None = None, blocks: int | None = None) -> Prompt:
        """The trunk; the answer is read after each of K blocks, or in grounding after block T alone.

        Reading at T uses the example's own number of steps, which a user does not know: it serves to choose a
        checkpoint within the grounding stage, never as a score. No blocks at all is the control `removed`.
        """
        if stage is not None and stage.objective == "grounding":
            blocks = max(1, len(example.steps))
            return self.read_after(example, blocks, (blocks,))
        blocks = self.config.memory.blocks if blocks is None else blocks
        return self.read_after(example, blocks, range(1, blocks + 1))

    def read_after(self, example: EncodedExample, blocks: int, read: Sequence[int]) -> Prompt:
        """The prompt of a question with some blocks, of which these are read; without blocks the question is."""
        trunk = self.trunk(example, blocks)
        branches = tuple(trunk.end(block) for block in read) or (trunk.end(0),)
        start = self._start(example, blocks) if blocks else None
        return Prompt(Tree(tuple(trunk.nodes)), branches, self.cue, self._hides(), start)

    def trunk(self, example: EncodedExample, blocks: int) -> Trunk:
        """The question and `blocks` memory blocks in their places."""
        return Trunk(example.question, self.cuts(example.question, blocks), self.block_tokens)

    def read(self, trunk: Trunk, kind: Kind, ids: Ids, block: int, weight: float, example: EncodedExample) -> None:
        """Add a readout of a block; one without weight is left out, with the rest of the question before it."""
        if weight:
            hides, start = self._hides(), self._start(example, len(trunk.blocks))
            self.add_leaf(trunk.nodes, kind, ids, trunk.end(block), weight, readout=block, hides=hides, start=start)

    def step_weights(self, steps: int, progress: float) -> list[float]:
        """λ_t for t = 1 … T: linear from 1 to a floor f, earlier steps first (method.fade, method.fade_floor).

        `relative` is clip(1 - s / (t / T), f, 1); `absolute` puts the longest chain that trains in the place of T.
        """
        longest = {"relative": steps, "absolute": self.config.data.max_steps}.get(self.config.method.fade)
        if longest is None:
            return [1.0] * steps
        floor = self.config.method.fade_floor
        return [min(1.0, max(floor, 1 - progress * longest / t)) for t in range(1, steps + 1)]

    def block_weights(self) -> list[float]:
        """α_k for k = 1 … K; they add up to 1 (method.block_weights)."""
        k = self.config.memory.blocks
        if self.config.method.block_weights == "last":
            return [0.0] * (k - 1) + [1.0]
        if self.config.method.block_weights == "uniform":
            return [1 / k] * k
        return [2 * i / (k * (k + 1)) for i in range(1, k + 1)]

    def weights_at(self, progress: Progress, steps: int) -> dict[str, float]:
        """λ in grounding; α in refinement, and what its steps weigh where they are read there."""
        faded, answers = self._weights(steps, progress)
        lambdas = {f"lambda/step_{t}": weight for t, weight in enumerate(faded, 1)}
        alphas = {f"alpha/block_{k}": weight for k, weight in answers.items()}
        return lambdas if progress.objective == "grounding" else lambdas | alphas

    def _weights(self, steps: int, progress: Progress) -> tuple[list[float], dict[int, float]]:
        """What readouts weigh where an example has so many steps: steps after blocks 1, 2, …, and answers by block."""
        method = self.config.method
        if progress.objective == "grounding":
            lambdas = self.step_weights(steps, progress.share)
            return lambdas, {max(1, steps): lambdas[-1] if method.fade_answer and lambdas else 1.0}
        kept = [method.refinement_steps] * min(steps, self.config.memory.blocks) if method.refinement_steps else []
        return kept, dict(enumerate(self.block_weights(), 1))

    def _with_parallel(self, trunk: Trunk, example: EncodedExample, count: float) -> Tree:
        """The tree, with the steps as parallel targets where they are asked for.

        Their mean loss per example is weighed by `method.parallel_steps` times the example's share of the denominator.
        """
        weight = self.config.method.parallel_steps
        steps = example.steps[: len(trunk.blocks)]
        if not weight or not steps:
            return Tree(tuple(trunk.nodes), count)
        split, ends = _split(trunk.nodes)
        m = self.config.memory.tokens_per_block
        each = weight * count / (m * len(steps))
        for step, block in zip(steps, trunk.blocks, strict=False):
            padded = [*(int(token) for token in step), *[self.special.end] * m][:m]
            split += [Node(Kind.STEP, (token,), ends[block] - m + n, each) for n, token in enumerate(padded)]
        return Tree(tuple(split), count)

    def _hides(self) -> frozenset[Kind]:
        return frozenset() if self.config.memory.readout_sees_question else frozenset({Kind.QUESTION})

    def _start(self, example: EncodedExample, blocks: int) -> int | None:
        """Position of a readout's first token where it does not follow its own block (memory.readout_position).

        Wherever blocks stand, the last readout comes after the whole question and all blocks.
        """
        if self.config.memory.readout_position == "after_block":
            return None
        return len(example.question) + blocks * (self.config.memory.tokens_per_block + 2)


def _split(nodes: Sequence[Node]) -> tuple[list[Node], list[int]]:
    """The nodes with every token of a block a node of its own, and the new index of the last node of each old one."""
    split: list[Node] = []
    ends: list[int] = []
    for node in nodes:
        parent = None if node.parent is None else ends[node.parent]
        pieces = [(int(token),) for token in node.ids] if node.kind == Kind.MEMORY else [node.ids]
        for ids in pieces:
            split.append(replace(node, ids=ids, parent=parent))
            parent = len(split) - 1
        ends.append(len(split) - 1)
    return split, ends
