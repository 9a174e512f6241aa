"""A cache of a fixed number of columns: nothing is allocated, copied or resized while answers are decoded.

The columns of trunks stand first, then a column for each branch and generated token; there are more than these, and the
last one takes what belongs nowhere and is never seen. Which columns are seen is the mask's matter alone.

Axes: B examples, H key and value heads, J columns, C columns of layers below an insertion, Q columns of a pass, D width
of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicLayer

from rim.backbone.backbone import Backbone, Reading
from rim.backbone.insertion import MemoryCache


@dataclass(frozen=True)
class Sizes:
    """What a model's passes leave behind: heads and width of keys and of values by layer, their type, and V logits."""

    keys: tuple[tuple[int, int], ...]
    values: tuple[tuple[int, int], ...]
    dtype: torch.dtype
    vocabulary: int

    @classmethod
    def of(cls, backbone: Backbone) -> "Sizes":
        """Found in a pass over one token, so that no family has to be known."""
        cache, one = MemoryCache(), torch.zeros(1, 1, dtype=torch.long, device=backbone.device)
        logits = backbone(one, Reading(one[:, None] == 0, one, one, keep=one), cache).logits
        keys, values = ([getattr(layer, part) for layer in cache.layers] for part in ("keys", "values"))
        heads = [tuple((each.shape[1], each.shape[3]) for each in part) for part in (keys, values)]
        return cls(heads[0], heads[1], keys[0].dtype, logits.shape[-1])


class _Filling(DynamicLayer):
    """Puts a pass into the first columns; the pass sees itself alone, so it is given nothing but its own."""

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        assert self.keys is not None and self.values is not None
        q = key_states.shape[2]
        self.keys[:, :, :q].copy_(key_states)
        self.values[:, :, :q].copy_(value_states)
        return key_states, value_states


class _Appending(DynamicLayer):
    """Puts a pass into the columns `column_Q`; the pass may see all columns."""

    column_Q: Tensor

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        assert self.keys is not None and self.values is not None
        self.keys.index_copy_(2, self.column_Q, key_states)
        self.values.index_copy_(2, self.column_Q, value_states)
        return self.keys, self.values


class Columns:
    """Keys and values of J columns, and two caches over them.

    `filling` takes a first pass; `appending` takes passes into the columns that stand in `column_Q` at that time.
    """

    def __init__(self, sizes: Sizes, b: int, j: int, q: int, device: torch.device) -> None:
        def made(heads: Sequence[tuple[int, int]]) -> list[Tensor]:
            return [torch.zeros(b, h, j, d, dtype=sizes.dtype, device=device) for h, d in heads]

        self.keys, self.values = made(sizes.keys), made(sizes.values)
        self.column_Q = torch.zeros(q, dtype=torch.long, device=device)
        self.filling, self.appending = self._cache(_Filling), self._cache(_Appending)

    @property
    def bytes(self) -> int:
        """Memory that they take."""
        return sum(part.nbytes for part in (*self.keys, *self.values))

    def tensors(self) -> list[Tensor]:
        """All that is changed in place."""
        return [*self.keys, *self.values, self.column_Q]

    def take_over(self, cache: MemoryCache) -> Tensor | None:
        """Copy what a growing cache holds to the first columns, the same ones in all layers.

        Returns:
            bool [B, J], which of them the layers below an insertion do not have; None: all layers have all.
        """
        column_BC = cache.column_BC
        layers: Sequence[Any] = cache.layers
        for index, layer in enumerate(layers):
            below = column_BC if index < cache.first_layer else None
            _copy(layer.keys, self.keys[index], below)
            _copy(layer.values, self.values[index], below)
        if column_BC is None or cache.first_layer == 0:
            return None
        held = len(cache.layers) - 1
        b, j = len(column_BC), self.keys[0].shape[2]
        lacking_BJ = (torch.arange(j, device=column_BC.device) < cache.get_seq_length(held)).repeat(b, 1)
        return lacking_BJ.scatter(1, _targets(column_BC, j), False)

    def _cache(self, kind: type[DynamicLayer]) -> MemoryCache:
        cache = MemoryCache()
        for keys, values in zip(self.keys, self.values, strict=True):
            layer: Any = kind()
            layer.keys, layer.values, layer.is_initialized = keys, values, True
            layer.dtype, layer.device = keys.dtype, keys.device
            layer.column_Q = self.column_Q
            cache.layers.append(layer)
        return cache


def _targets(column_BC: Tensor, j: int) -> Tensor:
    """Columns with the last one in the place of padding."""
    return column_BC.masked_fill(column_BC < 0, j - 1)


def _copy(states: Tensor, into: Tensor, column_BC: Tensor | None) -> None:
    if column_BC is None:
        into[:, :, : states.shape[2]].copy_(states)
        return
    index = _targets(column_BC, into.shape[2])[:, None, :, None]
    into.scatter_(2, index.expand(-1, states.shape[1], -1, states.shape[3]), states)
