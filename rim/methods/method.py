"""What a method is: layouts for training, prompts for answering, and shared defaults for the rest.

Axes: S supervised tokens of a batch, V vocabulary, R readouts (index 0: tokens that read no block), P states of pairs,
L layers and the embedding, D width.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerBase

from rim.backbone.backbone import Backbone
from rim.backbone.decode import CacheEdit, Prompt, greedy
from rim.backbone.fast import Decode
from rim.backbone.observer import Observer
from rim.backbone.reading import Reader, Wanted, read_once
from rim.backbone.tokenizer import SpecialTokens, add_memory_tokens
from rim.base.tree import Ids, Kind, Node, Tree, TreeBatch
from rim.data.encode import EncodedExample
from rim.data.example import MARK, after_mark
from rim.methods.distillation import distance
from rim.settings import Config, Stage
from rim.settings.progress import Progress


@dataclass
class Losses:
    """Sums and counts of a batch; division happens once, after everything is added up.

    `total` carries the gradient: the weighted sum of negative log-likelihoods in nats. `count` is its denominator.
    `nll_S` the detached loss of every supervised token, in the order of the batch.
    """

    total: Tensor
    count: float
    nll_S: Tensor


class Method(ABC):
    """A way of teaching. Objects are frozen settings; all state is in the backbone."""

    controls: tuple[str, ...] = ()
    """Controls of memory (`rim.settings.checks.CONTROLS`) that apply: none where answers are read after no memory."""
    cue_is_mark = False
    """Whether an answer that is read without a chain begins with the mark that stands before it in a chain."""

    def __init__(self, config: Config, tokenizer: PreTrainedTokenizerBase) -> None:
        self.config = config
        self.special: SpecialTokens = add_memory_tokens(tokenizer)
        self.separator = tuple(self._encode(tokenizer, config.method.step_separator))
        self.answer_mark = tuple(self._encode(tokenizer, f"{MARK} "))
        own_cue = tuple(self._encode(tokenizer, config.method.answer_cue))
        self.cue = self.answer_mark if self.cue_is_mark else own_cue

    @staticmethod
    def _encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
        if not text:
            return []
        return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    @abstractmethod
    def layout(self, example: EncodedExample, progress: Progress) -> Tree:
        """The training tree of an example at a moment of training."""

    def prompt(self, example: EncodedExample, stage: Stage | None = None, blocks: int | None = None) -> Prompt:
        """The trunk that answers are read from: the question. The cue is given where no chain comes before the answer.

        Args:
            stage: one that reads elsewhere than the finished model; None: the finished model.
            blocks: number of memory blocks, where another than the configured one is asked for; 0: no memory at all.
        """
        cue = () if self.writes_chain(stage) else self.cue
        return Prompt(Tree((Node(Kind.QUESTION, example.question),)), (0,), cue)

    def add_modules(self, backbone: Backbone) -> None:  # noqa: B027 - most methods add nothing
        """Add the modules that the method needs to `backbone.extra`; the same seed gives the same weights."""

    def reader(self, backbone: Backbone) -> Reader:
        """How trees are read, in training and before answers: in one pass."""
        return read_once

    def losses(self, backbone: Backbone, batch: TreeBatch) -> Losses:
        """Read the trees, weigh the token losses, and add the distances of pairs where there are any."""
        states_P = torch.cat([batch.student_P, batch.teacher_P]) if len(batch.weight_P) else None
        outcome = self.reader(backbone)(backbone, batch, Wanted(batch.predictor_U, states_P, below_head=True), None)
        found_SX = outcome.logits_UV if outcome.last_UD is None else outcome.last_UD
        if len(batch.row_S) > len(batch.predictor_U):  # some predict several tokens, at the ends of branches
            found_SX = found_SX.index_select(0, batch.row_S)
        if outcome.last_UD is None:
            nll_S = cross_entropy(found_SX.float(), batch.target_S, reduction="none")
        else:
            nll_S = backbone.token_losses(found_SX, batch.target_S)
        total = (nll_S * batch.weight_S).sum()
        if outcome.states_PLD is not None:
            total = total + (distance(*outcome.states_PLD.chunk(2)) * batch.weight_P).sum()
        return Losses(total, batch.count, nll_S.detach())

    def answer(
        self,
        backbone: Backbone,
        prompts: Sequence[Prompt],
        max_new_tokens: int,
        edit: CacheEdit | None = None,
        observe: Observer | None = None,
        decode: Decode = greedy,
    ) -> list[list[list[int]]]:
        """Tokens of the answer for every prompt and branch: the trunk is read once, then greedy decoding.

        `decode` is the way of decoding; what is edited or observed is decoded by `greedy`, which alone can do that.
        """
        read = self.reader(backbone)
        if edit is not None or observe is not None:
            return greedy(backbone, prompts, max_new_tokens, edit, read, observe)
        return decode(backbone, prompts, max_new_tokens, read=read)

    def weights_at(self, progress: Progress, steps: int) -> dict[str, float]:
        """The loss weights of an example with so many steps at this progress, for the curves; names are tags."""
        return {}

    def level(self, progress: Progress) -> int:
        """Changes where the curriculum takes a step within a stage; the optimiser is then reset (`reset_optimizer`)."""
        return 0

    def writes_chain(self, stage: Stage | None = None) -> bool:
        """Whether answers come at the end of generated text, after the mark; None: of the finished model."""
        return False

    def answer_in(self, text: str, stage: Stage | None = None) -> str:
        """The answer within generated text; nothing where a chain did not come to its mark."""
        if not self.writes_chain(stage):
            return text.strip()
        return after_mark(text)

    def answer_begins(self, tokens: Sequence[int]) -> int:
        """Number of generated tokens before the answer's first one; all of them where there is no answer."""
        if not self.writes_chain():
            return 0
        size = len(self.answer_mark)
        ends = [n + size for n in range(len(tokens)) if tuple(tokens[n : n + size]) == self.answer_mark]
        return ends[-1] if ends else len(tokens)

    def add_leaf(
        self,
        nodes: list[Node],
        kind: Kind,
        ids: Ids,
        parent: int,
        weight: float,
        *,
        readout: int = 0,
        hides: frozenset[Kind] = frozenset(),
        start: int | None = None,
    ) -> None:
        """Add a supervised leaf that ends; an answer begins with the cue, which is given and not supervised.

        `weight` is the whole leaf's: shared among its tokens, or given to each (`method.within_readout`). A leaf
        without weight is left out, since it would cost positions and teach nothing.
        """
        if weight == 0:
            return
        if kind == Kind.ANSWER and self.cue:
            nodes.append(Node(Kind.CUE, self.cue, parent, hides=hides, start=start))
            parent, start = len(nodes) - 1, None
        tokens = (*ids, self.special.end)
        each = weight / len(tokens) if self.config.method.within_readout == "mean" else weight
        nodes.append(Node(kind, tokens, parent, each, readout, hides, start))

    def write(
        self, nodes: list[Node], example: EncodedExample, parent: int, weight: float = 1.0, first: int = 0
    ) -> None:
        """Add a chain of thought, all tokens weighed alike: the steps from `first` on, the mark, the answer, the end.

        The answer is a node of its own, the last one.
        """
        steps = [(*step, *self.separator) for step in example.steps[first:]]
        self.write_tokens(nodes, example, parent, steps, weight)

    def write_tokens(
        self, nodes: list[Node], example: EncodedExample, parent: int, steps: Sequence[Ids], weight: float = 1.0
    ) -> None:
        """Add a chain of thought whose steps are these tokens."""
        parts = [(Kind.STEP, step) for step in steps]
        parts += [(Kind.CUE, self.answer_mark), (Kind.ANSWER, (*example.answer, self.special.end))]
        tokens = sum(len(ids) for _, ids in parts)
        each = weight / tokens if self.config.method.within_readout == "mean" else weight
        for kind, ids in parts:
            nodes.append(Node(kind, ids, parent, each))
            parent = len(nodes) - 1

    def thought(self, question: Ids, kind: Kind, positions: int) -> list[Node]:
        """The question, and after it positions of a kind, if any, between an opening and a closing token."""
        nodes, special = [Node(Kind.QUESTION, question)], self.special
        if positions:
            nodes.append(Node(Kind.MEMORY, (special.open,), 0))
            nodes.append(Node(kind, (special.memory,) * positions, 1))
            nodes.append(Node(Kind.MEMORY, (special.close,), 2))
        return nodes

    def count(self, weights: Sequence[float]) -> float:
        """An example's share of the loss's denominator, given the weights of all its readouts, faded ones too."""
        rule = self.config.method.across_readouts
        return {"weights": float(sum(weights)), "readouts": float(len(weights)), "examples": 1.0}[rule]


def nll_by_readout(batch: TreeBatch, nll_S: Tensor, readouts: int) -> tuple[Tensor, Tensor]:
    """Sums of token losses and numbers of tokens by the block they read, [R] each; index 0: tokens that read none."""
    index_S = batch.readout_S.clamp(max=readouts - 1)
    zeros = torch.zeros(readouts, device=nll_S.device)
    return zeros.index_add(0, index_S, nll_S), zeros.index_add(0, index_S, torch.ones_like(nll_S))
