"""Ways of reading a batch of trees: in one pass, in a chain of passes through latent tokens, in loops over the blocks.

All of them give the logits and states that are asked for, and leave keys and values of the trees in a cache.

Axes: B examples, N tokens of a tree, Q tokens of a pass, J cached columns, U wanted logits, P wanted states, L layers
(and the embedding), D width, V vocabulary.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from rim.backbone.backbone import Backbone, Reading
from rim.backbone.insertion import MemoryCache
from rim.backbone.packing import at, packed
from rim.base.tree import TreeBatch


@dataclass(frozen=True)
class Wanted:
    """Flat indices (into B x N) of the tokens whose logits, and of those whose states in every layer, are wanted.

    One that is named twice is computed twice. `below_head`: the states that logits are made of will do in the place of
    logits.
    """

    logits_U: Tensor
    states_P: Tensor | None = None
    below_head: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a reading gave: `logits_UV`, `states_PLD`, and `column_BJ`: which token a cached column holds (-1: none).

    `last_UD`: the states that logits are made of, where they were wanted and the model has a `head`; there are no
    logits then (U = 0).
    """

    logits_UV: Tensor
    states_PLD: Tensor | None
    column_BJ: Tensor
    last_UD: Tensor | None = None


Reader = Callable[[Backbone, TreeBatch, Wanted, MemoryCache | None], Outcome]
"""Reads a batch; keys and values go to the cache, where one is given."""


def read_once(backbone: Backbone, batch: TreeBatch, wanted: Wanted, cache: MemoryCache | None = None) -> Outcome:
    """One forward pass over whole trees: latent tokens are read as the tokens that stand there."""
    below, real_BN = wanted.below_head and backbone.head is not None, batch.node_BN >= 0
    keep_U = wanted.logits_U[:0] if below else wanted.logits_U
    reading = Reading(batch.visible_BNN(), batch.position_BN, batch.position_BN, keep_U, real_BN, text=batch.text)
    with backbone.below_head() if below else nullcontext() as last_BND:
        output = backbone(batch.ids_BN, reading, cache, states=wanted.states_P is not None)
    last_UD = last_BND[0].flatten(0, 1).index_select(0, wanted.logits_U) if last_BND else None
    states_PLD = None
    if wanted.states_P is not None:
        layers = [layer.flatten(0, 1).index_select(0, wanted.states_P) for layer in output.hidden_states]
        states_PLD = torch.stack(layers, dim=1)
    place_N = torch.arange(batch.ids_BN.shape[1], device=batch.ids_BN.device)
    return Outcome(output.logits, states_PLD, torch.where(real_BN, place_N, -1), last_UD)


def read_chained(
    backbone: Backbone,
    batch: TreeBatch,
    wanted: Wanted,
    cache: MemoryCache | None = None,
    project: Callable[[Tensor], Tensor] | None = None,
) -> Outcome:
    """Continuous thoughts: the input of a latent token is the last state of the token before it (Coconut).

    Every further latent token on a path is a further pass; what follows the last one is read together with it.
    Gradients flow through the whole chain.

    Args:
        project: applied to a state before it becomes an input (CODI); None: the state itself.
    """
    if batch.chain == 0:
        return read_once(backbone, batch, wanted, cache)
    passes = _Passes(backbone, batch, wanted, cache)
    for number in range(batch.chain + 1):
        chosen_BN = (batch.chained_BN == number) & (batch.node_BN >= 0)

        def fed(inputs_BQD: Tensor, place_BQ: Tensor) -> Tensor:
            latent_BQ = batch.latent_BN.gather(1, place_BQ)
            before_BQD = passes.last(batch.previous_BN.gather(1, place_BQ).clamp(min=0))
            thought_BQD = before_BQD if project is None else project(before_BQD)
            return torch.where(latent_BQ[:, :, None], thought_BQD.to(inputs_BQD.dtype), inputs_BQD)

        passes.read(chosen_BN, fed if number else None)
    return passes.outcome()


def read_looped(
    backbone: Backbone, batch: TreeBatch, wanted: Wanted, cache: MemoryCache | None = None, loops: int = 1
) -> Outcome:
    """The blocks are read `loops` times; each time their input is embedding plus last output (LOTUS).

    The question is read once, with the first loop, and what follows the blocks once, with the last: that many passes.
    A block sees the question and the blocks of its own loop. One loop is the plain pass.
    """
    if loops == 1 or not batch.memory_BN.any():
        return read_once(backbone, batch, wanted, cache)
    passes = _Passes(backbone, batch, wanted, cache)
    memory_BN, upto_BN, real_BN = batch.memory_BN, batch.upto_BN, batch.node_BN >= 0
    for loop in range(1, loops + 1):
        chosen_BN = upto_BN if loop == 1 else memory_BN
        if loop == loops:
            chosen_BN = chosen_BN | (real_BN & ~upto_BN)

        def fed(inputs_BQD: Tensor, place_BQ: Tensor) -> Tensor:
            again_BQ = memory_BN.gather(1, place_BQ)
            return inputs_BQD + passes.last(place_BQ).to(inputs_BQD.dtype) * again_BQ[:, :, None]

        passes.read(chosen_BN, fed if loop > 1 else None)
    return passes.outcome()


def appended(
    batch: TreeBatch, visible_BNN: Tensor, chosen_BN: Tensor, column_BJ: Tensor, keep: Tensor
) -> tuple[Tensor, Reading]:
    """The columns once a pass over the chosen tokens has added its own, and who sees whom in that pass.

    A token that is read again leaves its old column. `column_BJ` says which token each cached column holds (-1: none).
    """
    place_BQ, real_BQ = packed(chosen_BN)
    again_BJ = chosen_BN.gather(1, column_BJ.clamp(min=0)) & (column_BJ >= 0)
    old_BJ = column_BJ.masked_fill(again_BJ, -1)
    column_BJ = torch.cat([old_BJ, place_BQ.masked_fill(~real_BQ, -1)], dim=1)
    q, n = place_BQ.shape[1], chosen_BN.shape[1]
    seen_BQN = visible_BNN.gather(1, place_BQ[:, :, None].expand(-1, -1, n))
    seen_BQJ = seen_BQN.gather(2, column_BJ.clamp(min=0)[:, None].expand(-1, q, -1))
    seen_BQJ &= (column_BJ >= 0)[:, None] & real_BQ[:, :, None]
    seen_BQJ[:, :, old_BJ.shape[1] :] |= torch.eye(q, dtype=torch.bool, device=place_BQ.device)
    key_BJ = batch.position_BN.gather(1, column_BJ.clamp(min=0))
    return column_BJ, Reading(seen_BQJ, batch.position_BN.gather(1, place_BQ), key_BJ, keep, real_BQ)


class _Passes:
    """Passes over parts of a batch, one cache growing under them; a token that is read again leaves its old column."""

    def __init__(self, backbone: Backbone, batch: TreeBatch, wanted: Wanted, cache: MemoryCache | None) -> None:
        self.backbone, self.batch, self.wanted = backbone, batch, wanted
        self.below_head = wanted.below_head and backbone.head is not None
        self.cache = backbone.new_cache() if cache is None else cache
        self.visible_BNN = batch.visible_BNN()
        self.embedded_BND = backbone.embed(batch.ids_BN)
        b, n, d = self.embedded_BND.shape
        self.last_BND = self.embedded_BND.new_zeros(b, n + 1, d)  # one more place, for what padding gives
        self.column_BJ = batch.ids_BN.new_zeros(b, 0)
        self.logits: list[tuple[Tensor, Tensor]] = []
        self.states: list[tuple[Tensor, Tensor]] = []

    def last(self, place_BQ: Tensor) -> Tensor:
        """[B, Q, D] states after the last layer, as last read."""
        return at(self.last_BND, place_BQ)

    def read(self, chosen_BN: Tensor, fed: Callable[[Tensor, Tensor], Tensor] | None) -> None:
        """A pass over the chosen tokens; `fed` changes their inputs, given those and the tokens' places."""
        place_BQ, real_BQ = packed(chosen_BN)
        inputs_BQD = at(self.embedded_BND, place_BQ)
        if fed is not None:
            inputs_BQD = fed(inputs_BQD, place_BQ)
        keep = place_BQ[:, :0]  # none, where logits are made later
        if not self.below_head:
            keep = _mask(self.wanted.logits_U, self.batch).gather(1, place_BQ) & real_BQ
        self.column_BJ, reading = appended(self.batch, self.visible_BNN, chosen_BN, self.column_BJ, keep)
        output = self.backbone(inputs_BQD, reading, self.cache, states=True)
        n = chosen_BN.shape[1]
        target_BQ = place_BQ.masked_fill(~real_BQ, n)
        last_BQD = output.hidden_states[-1].to(self.last_BND.dtype)
        self.last_BND = self.last_BND.scatter(1, target_BQ[:, :, None].expand_as(last_BQD), last_BQD)
        flat_BQ = place_BQ + torch.arange(len(place_BQ), device=place_BQ.device)[:, None] * n
        if not self.below_head:
            self.logits.append((flat_BQ[keep], output.logits))
        if self.wanted.states_P is not None:
            kept_BQ = _mask(self.wanted.states_P, self.batch).gather(1, place_BQ) & real_BQ
            states_PLD = torch.stack([layer[kept_BQ] for layer in output.hidden_states], dim=1)
            self.states.append((flat_BQ[kept_BQ], states_PLD))

    def outcome(self) -> Outcome:
        """All that was wanted, in the order in which it was wanted; what was read twice counts as last read."""
        states_PLD = None
        if self.wanted.states_P is not None:
            states_PLD = self._ordered(self.states, self.wanted.states_P)
        if self.below_head:
            last_UD = self.last_BND[:, :-1].flatten(0, 1).index_select(0, self.wanted.logits_U)
            return Outcome(last_UD[:0], states_PLD, self.column_BJ, last_UD)
        return Outcome(self._ordered(self.logits, self.wanted.logits_U), states_PLD, self.column_BJ)

    def _ordered(self, found: list[tuple[Tensor, Tensor]], wanted: Tensor) -> Tensor:
        flat = torch.cat([index for index, _ in found])
        row = flat.new_zeros(self.batch.ids_BN.numel())
        places = torch.arange(len(flat), device=flat.device).split([len(index) for index, _ in found])
        for (index, _), place in zip(found, places, strict=True):  # later passes overwrite earlier ones
            row[index] = place
        return torch.cat([values for _, values in found])[row[wanted]]


def _mask(flat: Tensor, batch: TreeBatch) -> Tensor:
    """[B, N] bool: the tokens at these flat indices."""
    mask_BN = torch.zeros(batch.ids_BN.shape, dtype=torch.bool, device=batch.ids_BN.device)
    mask_BN.view(-1)[flat] = True
    return mask_BN
