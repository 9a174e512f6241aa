"""Reading blocks one by one, an answer after each, until a rule says that it is enough.

    question ── block 1 │ ── block 2 │ ── block 3 │           a pass for every │
                  └ cue │      └ cue │      └ cue │

Further blocks are appended to the cache, so nothing is read twice; where blocks stand before or within the question,
what is left of the question belongs to the readout, and every readout reads it. The answers are those of
`decode.greedy` after the same block. What it costs is passes: one for each block that is read, where all blocks
together take one. The rules are those of `stopping.py`.

Axes: B examples (one), N tokens of a tree, Q tokens of a pass, J cached columns, D width, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from rim.backbone.backbone import Backbone
from rim.backbone.decode import Prompt, _branch_points, _Branches, _generate, _trunk, _with_cues
from rim.backbone.observer import largest, outputs
from rim.backbone.packing import at, packed
from rim.backbone.reading import appended
from rim.base.tree import pad
from rim.evaluation.early.probe import Probe


class Readout:
    """The answer after a block, of which no more is computed than is asked for.

    `block` is counted from 1; `state_D` is what the watched layer gives at the branch point, if one is watched.
    """

    def __init__(
        self, reading: "_Reading", block: int, logits_V: Tensor, state_D: Tensor | None, max_new_tokens: int
    ) -> None:
        self.block, self.logits_V, self.state_D = block, logits_V, state_D
        self._reading, self._max_new_tokens = reading, max_new_tokens

    @cached_property
    def probability(self) -> float:
        """Of the answer's first token, among all that may be generated."""
        return float(largest(self._reading.backbone, self.logits_V[None]))

    @cached_property
    def answer(self) -> list[int]:
        """Its tokens, as `decode.greedy` gives them; decoded when they are first asked for."""
        return self._reading.answer(self.block, self.logits_V, self._max_new_tokens)


Rule = Callable[[Sequence[Readout]], bool]
"""Whether to stop, given the readouts so far, the newest last; asked after every block but the last."""


@torch.no_grad()
def read_until(
    backbone: Backbone, prompt: Prompt, max_new_tokens: int, rule: Rule, layer: nn.Module | None = None
) -> Readout:
    """Read one block after the other until the rule stops, or none is left; the readout after the last that was read.

    Args:
        prompt: one question, with a branch after every block.
        max_new_tokens: longest answer, in tokens.
        rule: sees every readout but the last possible one, which needs no decision.
        layer: module whose states the rule wants; see `observer.layer_at`.
    """
    backbone.eval()
    reading = _Reading(backbone, prompt, layer)
    seen: list[Readout] = []
    for block in range(1, len(prompt.branches) + 1):
        seen.append(Readout(reading, block, *reading.read(block), max_new_tokens))
        if block < len(prompt.branches) and rule(seen):
            break
    return seen[-1]


@dataclass
class _Reading:
    """A question under way: what has been read of its tree, and the cache with it."""

    backbone: Backbone
    prompt: Prompt
    layer: nn.Module | None

    def __post_init__(self) -> None:
        self.cued = _with_cues(self.prompt)
        self.batch = pad([self.cued.trunk], self.backbone.special.pad).to(self.backbone.device)
        self.visible_BNN = self.batch.visible_BNN()
        self.cache = self.backbone.new_cache()
        self.column_BJ = self.batch.ids_BN.new_zeros(1, 0)
        self.unread_BN = torch.ones_like(self.batch.ids_BN, dtype=torch.bool)

    def read(self, block: int) -> tuple[Tensor, Tensor | None]:
        """Logits [V] of the answer after a block, and the state [D] at its branch point; blocks come in their order."""
        chosen_BN = self._on_path(self.cued.branches[block - 1]) & self.unread_BN
        self.unread_BN &= ~chosen_BN
        place_BQ = packed(chosen_BN)[0]
        last_Q = torch.tensor([place_BQ.shape[1] - 1], device=place_BQ.device)
        self.column_BJ, reading = appended(self.batch, self.visible_BNN, chosen_BN, self.column_BJ, keep=last_Q[None])
        with outputs(self.layer) as states:
            output = self.backbone(at(self.batch.ids_BN, place_BQ), reading, self.cache)
        return output.logits[0, -1], self._state(states[0]) if states else None

    @torch.no_grad()  # it may be asked for after the reading has ended
    def answer(self, block: int, logits_V: Tensor, max_new_tokens: int) -> list[int]:
        """The tokens after a block; their columns stay in the cache, and what is read later does not see them."""
        prompt = replace(self.cued, branches=(self.cued.branches[block - 1],))
        points, logits_BKV = _branch_points([prompt], self.batch), logits_V[None, None]
        trunk = _trunk(self.batch, points, self.cache, self.column_BJ, logits_BKV)
        branches = _Branches(self.backbone, trunk)
        [[tokens]] = _generate(self.backbone, branches, logits_BKV, max_new_tokens)
        room = (1, branches.key_BJ.shape[1] - self.column_BJ.shape[1])
        self.column_BJ = torch.cat([self.column_BJ, self.column_BJ.new_full(room, -1)], dim=1)
        return tokens

    def _on_path(self, node: int) -> Tensor:
        """[1, N] bool: tokens of a node and its ancestors."""
        nodes = torch.tensor([*self.cued.trunk.path(node)], device=self.batch.node_BN.device)
        return torch.isin(self.batch.node_BN, nodes)

    def _state(self, state_BQD: Tensor) -> Tensor:
        """[D] at the branch point: before the cue, where there is one."""
        return state_BQD[0, -1 - len(self.prompt.cue)]


def by_confidence(threshold: float) -> Rule:
    """Stops where the answer's first token has at least this probability."""
    return lambda seen: seen[-1].probability >= threshold


def by_agreement(count: int, text: Callable[[Sequence[int]], str]) -> Rule:
    """Stops where the last `count` answers are the same text; decodes every answer.

    Args:
        text: tokens of an answer → what is compared.
    """

    def rule(seen: Sequence[Readout]) -> bool:
        newest = text(seen[-1].answer)  # decoded now: later blocks are read into the same cache
        return len(seen) >= count and all(text(readout.answer) == newest for readout in seen[-count:])

    return rule


def by_probe(line: tuple[np.ndarray, float], threshold: float) -> Rule:
    """Stops where the probe gives at least this probability of being right.

    Args:
        line: weights [D] and bias (`line_of`); the states must be watched (`read_until(layer=…)`).
    """
    weight_D, bias = torch.from_numpy(np.asarray(line[0], dtype=np.float32)), line[1]

    def rule(seen: Sequence[Readout]) -> bool:
        state_D = seen[-1].state_D
        assert state_D is not None, "a probe reads states, and no layer was watched"
        return float(torch.sigmoid(state_D.float() @ weight_D.to(state_D.device) + bias)) >= threshold

    return rule


def line_of(probe: Probe) -> tuple[np.ndarray, float]:
    """Weights [D] and bias on states as they are: the logistic function of their sum is the probability."""
    scaler, regression = (step for _, step in probe.model.steps)
    weight_D = regression.coef_[0] / scaler.scale_
    return weight_D, float(regression.intercept_[0] - scaler.mean_ @ weight_D)
