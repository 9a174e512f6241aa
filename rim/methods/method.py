"""What a method is: layouts for training, prompts for answering, and shared defaults for the rest.

Axes: S supervised tokens of a batch, V vocabulary, R readouts (index 0: tokens that read no block).
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
from rim.backbone.tokenizer import SpecialTokens, add_memory_tokens
from rim.config import Config
from rim.data.encode import EncodedExample
from rim.tree import Ids, Kind, Node, Tree, TreeBatch


@dataclass
class Losses:
    """Sums and counts of a batch; division happens once, after everything is added up.

    `total` carries the gradient: the weighted sum of negative log-likelihoods in nats. `count` is its denominator.
    `nll_S` the detached loss of every supervised token, in the order of the batch.
    """

    total: Tensor
    count: float
    nll_S: Tensor


@dataclass(frozen=True)
class Needs:
    """What a method demands of training, declared so that nothing asks which method runs."""

    unused_parameters: bool = False
    """Some trainable weights take no part in some updates (DDP has to look for them)."""


class Method(ABC):
    """A way of teaching. Objects are frozen settings; all state is in the backbone."""

    objectives: tuple[str, ...]
    """Objectives that a stage of this method may have."""
    needs = Needs()
    reads_blocks = False
    """Whether answers are read after memory blocks, so that controls of the blocks apply."""

    def __init__(self, config: Config, tokenizer: PreTrainedTokenizerBase) -> None:
        self.config = config
        self.special: SpecialTokens = add_memory_tokens(tokenizer)
        self.cue = tuple(self._encode(tokenizer, config.method.answer_cue))
        self.separator = tuple(self._encode(tokenizer, config.method.step_separator))
        self.answer_mark = tuple(self._encode(tokenizer, "#### "))

    @staticmethod
    def _encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
        if not text:
            return []
        return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]

    @abstractmethod
    def layout(self, example: EncodedExample, objective: str, progress: float) -> Tree:
        """The training tree of an example.

        Args:
            objective: what the stage predicts.
            progress: share of the stage that is done, 0 to 1.
        """

    @abstractmethod
    def prompt(self, example: EncodedExample, objective: str | None = None, blocks: int | None = None) -> Prompt:
        """The trunk that answers are read from.

        Args:
            objective: a stage's, where the stage reads elsewhere than the finished model; None: the finished model.
            blocks: number of memory blocks, where another than the configured one is asked for.
        """

    def losses(self, backbone: Backbone, batch: TreeBatch) -> Losses:
        """Forward the trees once and weigh the token losses."""
        logits_SV = backbone.supervised_logits(batch)
        nll_S = cross_entropy(logits_SV.float(), batch.target_S, reduction="none")
        return Losses((nll_S * batch.weight_S).sum(), batch.count, nll_S.detach())

    def answer(
        self, backbone: Backbone, prompts: Sequence[Prompt], max_new_tokens: int, edit: CacheEdit | None = None
    ) -> list[list[list[int]]]:
        """Tokens of the answer for every prompt and branch: one prefill, then greedy decoding."""
        return greedy(backbone, prompts, max_new_tokens, edit)

    def weights_of_progress(self, objective: str, progress: float) -> dict[str, float]:
        """The loss weights as they act at this point of the stage, for the curves; names are tags."""
        return {}

    def answer_tokens(self, longest_answer: int, longest_chain: int) -> int:
        """Tokens to generate at most, given the longest training answer and the longest written chain, in tokens."""
        return longest_answer + 1

    def read(self, text: str) -> str:
        """The answer within generated text."""
        return text.strip()

    def grow(
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

    def count(self, weights: Sequence[float]) -> float:
        """An example's share of the loss's denominator, given the weights of all its readouts, faded ones too."""
        rule = self.config.method.across_readouts
        return {"weights": float(sum(weights)), "readouts": float(len(weights)), "examples": 1.0}[rule]


def nll_by_readout(batch: TreeBatch, nll_S: Tensor, readouts: int) -> tuple[Tensor, Tensor]:
    """Sums of token losses and numbers of tokens by readout, [R] each; index 0 gathers tokens that read no block."""
    index_S = batch.readout_S.clamp(max=readouts - 1)
    zeros = torch.zeros(readouts, device=nll_S.device)
    return zeros.index_add(0, index_S, nll_S), zeros.index_add(0, index_S, torch.ones_like(nll_S))
