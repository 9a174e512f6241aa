"""Memory that enters at a layer ℓ of its own: below it blocks do not exist, from it on they are ordinary positions.

                 question      block 1    block 2     readouts
    layers ≥ ℓ   q q q q q     b m m /b   b m m /b    r r r  r r r
    input of ℓ       │          vectors    vectors        │
    layers < ℓ   q q q q q                            r r r  r r r

Layers below ℓ run over the other tokens alone, packed to the left: nothing attends to memory there, and its work is
saved. At the input of layer ℓ stand learned vectors, one for each memory token. Position ids are the same at every ℓ, a
readout's count the blocks in all layers, so that a sweep over ℓ changes one thing.

No model code is repeated: for the length of one pass, hooks change what the layers 0 … ℓ are given.

Axes: B examples, Q tokens of a pass, P packed ones of them (all but memory and padding), J columns of layers ≥ ℓ, C
columns of layers < ℓ (cached ones first), T memory tokens, H heads, W head width, D width, R width of rotary tables.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding
from transformers import DynamicCache, PreTrainedModel

from rim.backbone.layer_inputs import STATES, changing, inputs_of
from rim.backbone.memory_rows import memory_slots
from rim.backbone.packing import at, packed
from rim.base.errors import UserError

READ = (STATES, "attention_mask")
"""Inputs of a layer that must have these names, for hooks to change them."""


class InsertionError(UserError):
    """Memory that cannot enter where it is to."""


class MemoryCache(DynamicCache):
    """Keys and values by layer; layers below `first_layer` hold none of memory.

    `column_BC`: which column of the layers from there on a column of the layers below is (-1: padding); None: nothing
    has been cached below. `change` is what becomes of keys and values [B, H, Q, W] before they are cached and attended
    to, given the number of their layer; None: nothing.
    """

    def __init__(self, first_layer: int = 0) -> None:
        super().__init__()
        self.first_layer = first_layer
        self.column_BC: Tensor | None = None
        self.change: Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Cache keys and values of a layer, and give all that it holds."""
        if self.change is not None:
            key_states, value_states = self.change(layer_idx, key_states, value_states)
        held: tuple[Tensor, Tensor] = super().update(key_states, value_states, layer_idx, *args, **kwargs)
        return held


class Insertion(nn.Module):
    """The vectors [T, D] of the memory tokens at the input of layer ℓ, and the way in which a model reads with them.

    Args:
        model: the model without adapters' wrapping; its layers are used and not owned.
        tokens: T ids of memory tokens.
        first_TD: values that the vectors begin with.
        layer: ℓ; at 0 memory is what it would be without an insertion, in vectors instead of rows.
        position: whether the vectors get the embedding of their position, where the model has a table of those.

    Raises:
        InsertionError: the model has no layer ℓ, its layers name their inputs otherwise than `READ`, or `position`
            where the embeddings of positions cannot be added to vectors (OPT, BioGPT, XGLM).
    """

    token_T: Tensor

    def __init__(
        self, model: PreTrainedModel, tokens: Sequence[int], first_TD: Tensor, layer: int, *, position: bool
    ) -> None:
        super().__init__()
        stack, layers = layer_stack(model)
        if layer >= len(layers):
            raise InsertionError(
                f"memory.insertion_layer = {layer}: this model ({model.config.model_type}) has {len(layers)} layers, "
                f"counted from 0; set at most {len(layers) - 1}, or 0 for blocks that are read as tokens"
            )
        self.layer, self.acts = layer, True
        self.vectors = nn.Parameter(first_TD.detach().clone())
        self.register_buffer("token_T", torch.tensor(tokens, device=first_TD.device), persistent=False)
        self._layers = tuple(layers[: layer + 1])  # a tuple registers nothing: they belong to the model
        self.names = inputs_of(layers[0])
        if missing := [name for name in READ if name not in self.names]:
            kind, takes = model.config.model_type, ", ".join(self.names)
            raise InsertionError(
                f"memory.insertion_layer = {layer}: layers of '{kind}' take {takes}, and no {' and no '.join(missing)} "
                "that could be changed; set memory.insertion_layer=0"
            )
        if position and hasattr(stack, "embed_positions"):
            raise InsertionError(
                f"memory.insertion_position = true: the position embeddings of '{model.config.model_type}' cannot "
                "be added to the memory vectors; set memory.insertion_position=false, or memory.insertion_layer=0"
            )
        self._positions = (stack.wpe,) if position and hasattr(stack, "wpe") else ()

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Memory is read as tokens, from layer 0 on."""
        before, self.acts = self.acts, False
        try:
            yield
        finally:
            self.acts = before

    @contextmanager
    def acting(
        self,
        ids_BQ: Tensor,
        position_BQ: Tensor,
        real_BQ: Tensor | None,
        cache: MemoryCache | None,
        text: int | None = None,
    ) -> Iterator[None]:
        """Memory enters at layer ℓ in the one pass of the model that is made inside.

        Tokens, positions, `real_BQ` and `text` are those of its `Reading`; its columns are added to the cache.
        """
        now = _Pass(self, ids_BQ, position_BQ, real_BQ, cache, text)
        with ExitStack() as hooks:
            for index, layer in enumerate(self._layers):
                hooks.enter_context(layer.register_forward_pre_hook(now.hook(index), with_kwargs=True))
            yield
        if cache is not None:
            cache.column_BC = now.column_BC

    def inputs(self, slot_BQ: Tensor, position_BQ: Tensor) -> Tensor:
        """[B, Q, D] vectors of these memory tokens, counted among the T."""
        inputs_BQD = embedding(slot_BQ, self.vectors)
        for table in self._positions:
            inputs_BQD = inputs_BQD + table(position_BQ)
        return inputs_BQD


class _Pass:
    """One pass of the model: which of its tokens the layers below ℓ read, and what every layer is given."""

    def __init__(
        self,
        insertion: Insertion,
        ids_BQ: Tensor,
        position_BQ: Tensor,
        real_BQ: Tensor | None,
        cache: MemoryCache | None,
        text: int | None,
    ) -> None:
        self.insertion, self.position_BQ = insertion, position_BQ
        self.memory_BQ, self.slot_BQ = memory_slots(ids_BQ, insertion.token_T)
        self.below_BQ = ~self.memory_BQ if real_BQ is None else real_BQ & ~self.memory_BQ
        # attention over no column at all is not safe
        self.place_BP, self.held_BP = packed(self.below_BQ, least=1, most=text)
        before = 0 if cache is None else cache.get_seq_length(insertion.layer)
        column_BP = (self.place_BP + before).masked_fill(~self.held_BP, -1)
        old_BC = None if cache is None else cache.column_BC
        self.column_BC = column_BP if old_BC is None else torch.cat([old_BC, column_BP], dim=1)
        self.first_BQD: Tensor | None = None
        self.known: dict[int, tuple[Any, Any]] = {}

    def hook(self, index: int) -> Callable[[nn.Module, tuple, dict], tuple[tuple, dict]]:
        """What layer `index` is to be called with, given what it would be called with."""
        changes: dict[str, Callable[[Any], Any]] = {STATES: partial(self.hidden, index)}
        if index < self.insertion.layer:
            changes |= {"attention_mask": self.mask, "position_ids": self.take, "position_embeddings": self.tables}
        return changing(self.insertion.names, changes)

    def hidden(self, index: int, hidden: Tensor) -> Tensor:
        """Inputs of a layer: from layer 0 on [B, P, D], without memory; from layer ℓ on [B, Q, D]."""
        if index == 0:
            self.first_BQD, hidden = hidden, at(hidden, self.place_BP)
        return self.enter(hidden) if index == self.insertion.layer else hidden

    def enter(self, hidden_BPD: Tensor) -> Tensor:
        """[B, Q, D] inputs of layer ℓ, vectors at the places of memory; padding, which nobody sees, is as it came."""
        assert self.first_BQD is not None
        back_BQ = (self.below_BQ.cumsum(1) - 1).clamp(min=0)
        read_BQD = torch.where(self.below_BQ[:, :, None], at(hidden_BPD, back_BQ), self.first_BQD)
        vectors_BQD = self.insertion.inputs(self.slot_BQ, self.position_BQ).to(read_BQD.dtype)
        return torch.where(self.memory_BQ[:, :, None], vectors_BQD, read_BQD)

    def take(self, values: Tensor) -> Tensor:
        """[B, P, …] of values [B, Q, …]."""
        return self._once(values, lambda: at(values, self.place_BP))

    def tables(self, tables: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        """[B, P, R] of each rotary table [B, Q, R]: of cosines and sines, or of complex numbers (Llama 4)."""
        return self.take(tables) if isinstance(tables, Tensor) else tuple(map(self.take, tables))

    def mask(self, mask: Tensor) -> Tensor:
        """[B, 1, P, C] of an additive mask [B, 1, Q, J]."""
        return self._once(mask, lambda: self._mask(mask[:, 0]))

    def _mask(self, mask_BQJ: Tensor) -> Tensor:
        """Rows and columns of the packed tokens; padding among them sees itself alone."""
        p = self.place_BP.shape[1]
        column_BPC = self.column_BC.clamp(min=0)[:, None].expand(-1, p, -1)
        mask_BPC = at(mask_BQJ, self.place_BP).gather(2, column_BPC)
        real_BPC = self.held_BP[:, :, None] & (self.column_BC >= 0)[:, None]
        mask_BPC = mask_BPC.masked_fill(~real_BPC, torch.finfo(mask_BQJ.dtype).min)
        own_PP = torch.eye(p, dtype=torch.bool, device=mask_BQJ.device)
        mask_BPC[:, :, -p:].masked_fill_(own_PP & ~self.held_BP[:, :, None], 0.0)
        return mask_BPC[:, None]

    def _once(self, given: Tensor, change: Callable[[], Tensor]) -> Tensor:
        """The change of a tensor that several layers are given, made for the first of them."""
        if id(given) not in self.known:
            self.known[id(given)] = (given, change())  # kept, so that no other tensor gets its id
        return self.known[id(given)][1]


def layer_stack(model: PreTrainedModel) -> tuple[Any, nn.ModuleList]:
    """The module that holds the stack of layers, and the layers."""
    wanted = model.config.get_text_config().num_hidden_layers
    for module in model.modules():
        for child in module.children():
            if isinstance(child, nn.ModuleList) and len(child) == wanted:
                return module, child
    raise InsertionError(
        f"memory.insertion_layer needs a model whose {wanted} layers stand in one list, and "
        f"'{model.config.model_type}' has none: set memory.insertion_layer=0"
    )
