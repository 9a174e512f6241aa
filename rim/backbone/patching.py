"""States of tokens by layer, and their place in the reading of another text (activation patching).

A trace holds what the layers are given (the residual stream) and the keys and values that they cache, of every token
of a batch of trees. A patch puts some of them in the place of those of another batch, and everything above and after
is computed from them. Trees are read in one pass, packed, with adapters where the model has them.

Where memory enters above layer 0, both begin with the layer after that, the first one whose input is a state.

Axes: B examples, N tokens of a tree, P patched tokens, H heads, W head width, D width, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rim.backbone.backbone import Backbone, Reading
from rim.backbone.insertion import MemoryCache
from rim.backbone.layer_inputs import STATES, changed, recorded
from rim.backbone.observer import layers_of, outputs
from rim.backbone.packing import at
from rim.backbone.reading import Outcome, Reader, Wanted, read_once
from rim.base.tree import TreeBatch

Part = Literal["state", "keys", "values"]


@dataclass(frozen=True)
class Trace:
    """By layer, every token's `state` [B, N, D], the layer's input, and its `keys` and `values` [B, N, H, W].

    `state` has one more entry under the number of layers: the output of the last one, before the norm.
    """

    state: dict[int, Tensor] = field(default_factory=dict)
    keys: dict[int, Tensor] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)

    def patch(self, part: Part, layer: int, place_BP: Tensor) -> "Patch":
        """The states of these tokens, to be put at the same places of another batch."""
        return Patch(part, layer, place_BP, at(getattr(self, part)[layer], place_BP))


@dataclass(frozen=True)
class Patch:
    """States [B, P, …] that stand in the place of a layer's own at the places [B, P] of each tree."""

    part: Part
    layer: int
    place_BP: Tensor
    new: Tensor

    def put(self, own: Tensor) -> Tensor:
        """The states [B, N, …] of a pass with these among them."""
        row_B1 = torch.arange(len(own), device=own.device)[:, None]
        return own.index_put((row_B1, self.place_BP), self.new.to(own.dtype))


def traced_layers(backbone: Backbone) -> range:
    """Numbers of the layers that a trace holds and a patch can change."""
    return range(0 if backbone.insertion is None else backbone.insertion.layer + 1, len(layers_of(backbone)))


@torch.no_grad()
def trace(backbone: Backbone, batch: TreeBatch) -> Trace:
    """What the layers are given and cache as a batch is read."""
    numbers, layers, cache = traced_layers(backbone), layers_of(backbone), backbone.new_cache()
    with recorded(layers[number] for number in numbers) as inputs, outputs(layers[-1]) as last:
        read_once(backbone, batch, Wanted(batch.ids_BN.new_zeros(1)), cache)
    found = Trace({number: given[0] for number, given in zip(numbers, inputs, strict=True)} | {len(layers): last[0]})
    held: Sequence[Any] = cache.layers
    for number in numbers:
        if number < len(held) and held[number].is_initialized:  # others use the keys and values of a layer below
            found.keys[number] = held[number].keys.transpose(1, 2)
            found.values[number] = held[number].values.transpose(1, 2)
    return found


def patched(patches: Sequence[Patch]) -> Reader:
    """Reading in one pass, with patches."""

    def read(backbone: Backbone, batch: TreeBatch, wanted: Wanted, cache: MemoryCache | None = None) -> Outcome:
        cache = backbone.new_cache() if cache is None else cache
        with _patching(layers_of(backbone), patches, cache):
            return read_once(backbone, batch, wanted, cache)

    return read


@contextmanager
def _patching(layers: nn.ModuleList, patches: Sequence[Patch], cache: MemoryCache) -> Iterator[None]:
    def change(layer: int, keys_BHNW: Tensor, values_BHNW: Tensor) -> tuple[Tensor, Tensor]:
        parts = {"keys": keys_BHNW, "values": values_BHNW}
        for patch in patches:
            if patch.layer == layer and patch.part in parts:
                parts[patch.part] = patch.put(parts[patch.part].transpose(1, 2)).transpose(1, 2)
        return parts["keys"], parts["values"]

    with ExitStack() as hooks:
        for patch in patches:
            if patch.part == "state":
                hooks.enter_context(changed([layers[patch.layer]], {STATES: patch.put}))
        cache.change = change
        hooks.callback(partial(setattr, cache, "change", None))
        yield


@torch.no_grad()
def unembedded(backbone: Backbone, state_BPD: Tensor) -> Tensor:
    """[B, P, V] logits that the model makes of these states, as if the last layer had given them (the logit lens).

    The model's own norm and head are used: a pass in which the last layer's output is replaced.
    """

    def instead(_: nn.Module, __: object, output: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        return (state_BPD, *output[1:]) if isinstance(output, tuple) else state_BPD

    b, p = state_BPD.shape[:2]
    place_BP = torch.arange(p, device=state_BPD.device).expand(b, -1)
    alone_BPP = torch.eye(p, dtype=torch.bool, device=state_BPD.device).expand(b, -1, -1)
    text_BP = torch.full_like(place_BP, backbone.special.end)
    with layers_of(backbone)[-1].register_forward_hook(instead):
        logits_BPV: Tensor = backbone(text_BP, Reading(alone_BPP, place_BP, place_BP, keep=place_BP)).logits
    return logits_BPV
