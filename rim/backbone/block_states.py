"""States of memory blocks, at the positions of another example's blocks.

A cached key depends on the position that it was computed at, so states cannot be copied to an example whose blocks
stand elsewhere. How they are brought there depends on where the model takes positions in:

- In attention (rotary). The trunk is read where it stands, and the input of every layer is kept at its blocks. These
  inputs go through the same layers once more, at the other positions. Values stay, and keys are rotated by the model's
  own code, so no family has to be known: some rotate a part of each head, some pair neighbouring features and some
  halves, some scale the angles, some leave out layers.
- Below the layers (learned). Positions are part of the states, so the trunk is read anew with its blocks at the other
  positions; its text keeps its own.

Axes: B examples, R trees whose states are wanted, S memory tokens of a tree ("slots"), N tokens, J cached columns,
H key-value heads, W head width, D width.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from rim.backbone.backbone import Backbone, Reading
from rim.backbone.insertion import MemoryCache
from rim.backbone.layer_inputs import recorded, replaced
from rim.backbone.observer import layers_of
from rim.backbone.packing import at, packed
from rim.backbone.reading import Reader, Wanted
from rim.base.tree import Tree, TreeBatch, pad

LayerStates = tuple[Tensor, ...]
"""Keys and values [B, S, H, W] of a layer."""


@dataclass(frozen=True)
class HeldBlocks:
    """The blocks of a batch that has been read into a cache, and how it was read.

    `column_BS` the cached column of each slot, `position_BS` its position id.
    """

    backbone: Backbone
    read: Reader
    cache: MemoryCache
    column_BS: Tensor
    position_BS: Tensor

    @classmethod
    def of(
        cls, backbone: Backbone, read: Reader, batch: TreeBatch, column_BJ: Tensor, cache: MemoryCache
    ) -> "HeldBlocks":
        """Those of a batch of trees; `column_BJ` says which token each cached column holds (-1: none).

        Raises:
            ValueError: the trees differ in their number of slots.
        """
        place_BS = _slots(batch)
        column_BS = (column_BJ[:, None] == place_BS[:, :, None]).int().argmax(2)
        return cls(backbone, read, cache, column_BS, batch.position_BN.gather(1, place_BS))

    def states(self) -> list[LayerStates]:
        """Keys and values of every layer that holds memory."""
        return [tuple(at(part_BJHW, self.column_BS) for part_BJHW in parts) for parts in _by_column(self.cache)]

    def put(self, states: Iterable[Sequence[Tensor]], rows: slice = slice(None)) -> None:
        """Replace, in place, the keys and values of every layer that holds memory, in these rows of the batch."""
        column_BS = self.column_BS[rows]
        row_B = torch.arange(len(self.column_BS), device=column_BS.device)[rows]
        for parts, new in zip(_by_column(self.cache), states, strict=True):
            for part_BJHW, new_BSHW in zip(parts, new, strict=True):
                part_BJHW[row_B[:, None], column_BS] = new_BSHW.to(part_BJHW.dtype)


class BlockStates:
    """Block states of R trees, to be had at any positions.

    Args:
        trees: each with the same number of slots S.
        read: how they are read.

    Raises:
        ValueError: the trees differ in their number of slots.
        ObserverError: the model's layers do not stand in one list.
    """

    def __init__(self, backbone: Backbone, trees: Sequence[Tree], read: Reader) -> None:
        self.backbone, self.read = backbone, read
        self.batch = pad(trees, backbone.special.pad).to(backbone.device)
        first = 0 if backbone.insertion is None else backbone.insertion.layer
        self._layers = layers_of(backbone)[first:]
        self._inputs = None if adds_positions(backbone) else self._layer_inputs()

    def at(self, position_RS: Tensor) -> list[LayerStates]:
        """Keys and values of every layer that holds memory, with the slots at these position ids.

        Raises:
            ValueError: there are not as many slots.
        """
        if position_RS.shape != (own := _slots(self.batch).shape):
            raise ValueError(f"{own[0]} x {own[1]} block states are asked for at {tuple(position_RS.shape)} positions")
        return self._read_anew(position_RS) if self._inputs is None else self._moved(position_RS, self._inputs)

    def _layer_inputs(self) -> list[Tensor]:
        """[R, S, D] for each layer that holds memory, from the trees where they stand."""
        with recorded(self._layers) as passes:
            held = self._held(self.batch)
        return [at(torch.cat(inputs, dim=1), held.column_BS) for inputs in passes]

    def _moved(self, position_RS: Tensor, inputs: Sequence[Tensor]) -> list[LayerStates]:
        """Every layer gets its own input again, so who sees whom does not matter, and a slot sees itself alone."""
        r, s = position_RS.shape
        ids_RS, cache = self.batch.ids_BN.gather(1, _slots(self.batch)), self.backbone.new_cache()
        alone_RSS = torch.eye(s, dtype=torch.bool, device=ids_RS.device).expand(r, -1, -1)
        reading = Reading(alone_RSS, position_RS, position_RS, keep=ids_RS.new_zeros(r, 1))
        with self.backbone.memory_as_tokens(), replaced(self._layers, inputs):
            self.backbone(ids_RS, reading, cache)
        return list(_by_column(cache))

    def _read_anew(self, position_RS: Tensor) -> list[LayerStates]:
        position_RN = self.batch.position_BN.masked_scatter(self.batch.memory_BN, position_RS)
        return self._held(replace(self.batch, position_BN=position_RN)).states()

    def _held(self, batch: TreeBatch) -> HeldBlocks:
        cache = self.backbone.new_cache()
        outcome = self.read(self.backbone, batch, Wanted(batch.ids_BN.new_zeros(1)), cache)
        return HeldBlocks.of(self.backbone, self.read, batch, outcome.column_BJ, cache)


def adds_positions(backbone: Backbone) -> bool:
    """Whether positions are part of what enters the first layer, found by reading one token at two positions."""
    position_BQ = torch.tensor([[0, 1]], device=backbone.device)
    alone_BQQ = torch.eye(2, dtype=torch.bool, device=backbone.device)[None]
    reading = Reading(alone_BQQ, position_BQ, position_BQ, keep=torch.zeros_like(position_BQ[:, :1]))
    with backbone.memory_as_tokens(), recorded(layers_of(backbone)[:1]) as [passes]:
        backbone(torch.full_like(position_BQ, backbone.special.memory), reading)
    first_BD, second_BD = passes[0].unbind(1)
    return not torch.allclose(first_BD, second_BD, rtol=1e-4, atol=1e-6)


def _slots(batch: TreeBatch) -> Tensor:
    """[B, S] places of the memory tokens."""
    place_BS, held_BS = packed(batch.memory_BN)
    if not held_BS.all():
        counts = batch.memory_BN.sum(1).tolist()
        raise ValueError(
            f"examples have {min(counts)} to {max(counts)} memory tokens: slots match where all have as many"
        )
    return place_BS


def _by_column(cache: MemoryCache) -> Iterator[LayerStates]:
    """Views [B, J, H, W] of the keys and values of every layer that holds memory."""
    layers: Sequence[Any] = cache.layers[cache.first_layer :]
    for layer in layers:
        if layer.is_initialized:  # a layer that uses another's keys and values has none
            yield layer.keys.transpose(1, 2), layer.values.transpose(1, 2)
