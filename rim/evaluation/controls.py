"""Controls: is the answer in the blocks? Their keys and values are replaced in the cache.

| control | what is edited | by what |
|---|---|---|
| `removed` | nothing | the question is answered without blocks |
| `swapped` | keys and values | those of another example |
| `keys_only`, `values_only` | keys, or values | those of another example |
| `other_slot` | keys and values | those of the next block of the same example; the last one gets the first one's |
| `noise` | keys and values | noise with the mean and spread of each slot |
| `mean` | keys and values | the mean of each slot over references |
| `zero` | keys and values | zero: the end of the scale, since no state that was trained is like it |

All blocks are edited at once, in every layer where they exist. Text that stands after blocks is then read again against
the edited states, and so is the cue of each answer. Without a cue the last token of each readout's branch point is read
again, too, for its logits: it sees its own question and foreign memory, also where readouts do not see the question.

Foreign states are taken at the positions of the example's own blocks (`rim/backbone/block_states.py`), and noise is
drawn for each slot. So a control takes away what states say about their question, and neither where a block stands nor
which one it is (`other_slot` and `zero` excepted). A slot whose state is the same in all examples, as in the first
layer, keeps it.

Weights were never trained for any of this: a fall shows that the blocks are used, not what they hold, and a separately
trained run without blocks (`method.name=direct`) belongs beside it.

Axes: B examples, R references, U places of blocks, S memory tokens of an example ("slots"), K blocks, H key-value
heads, W head width.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rim.backbone.block_states import BlockStates, HeldBlocks, LayerStates
from rim.backbone.decode import CacheEdit
from rim.base.tree import Kind, Tree
from rim.data.joined import Split
from rim.evaluation.donors import donors, references

VERSION = 3
"""Of the edits, written into results: accuracies under different versions do not compare. In version 2 the last
token of a block was read again before a cue, too, and the cue saw it, with what it knew of its own question; without a
cue versions 2 and 3 are the same. In version 1 a donor's keys stood at the donor's positions, noise had one mean and
spread for all slots, and both depended on the batch."""


EDITED = {
    "removed": "no blocks",
    "swapped": "keys and values",
    "noise": "keys and values",
    "mean": "keys and values",
    "other_slot": "keys and values",
    "values_only": "values",
    "keys_only": "keys",
    "zero": "keys and values",
}
"""What of the blocks each control edits, as tables name it."""
ALONE = ("removed", "other_slot", "zero")
"""Controls that take nothing from other examples."""


def newest(version: int, cue: str) -> int:
    """The newest version that edits blocks as this one does, where answers begin with this cue."""
    return VERSION if version == 2 and not cue else version


@dataclass(frozen=True)
class Swap:
    """Gives every example the block states of another, as if that one's blocks stood where its own do.

    `donors` are the trunks of the others, one for each of the B examples; where `keys` or `values` is false the
    example's own stay.

    Raises:
        ValueError: as it is called; examples and donors differ in their number of memory tokens.
    """

    donors: Sequence[Tree]
    keys: bool = True
    values: bool = True

    def __call__(self, blocks: HeldBlocks) -> None:
        found = BlockStates(blocks.backbone, self.donors, blocks.read).at(blocks.position_BS)
        taken = (self.keys, self.values)
        blocks.put(
            [new if take else own for take, new, own in zip(taken, layer, kept, strict=True)]
            for layer, kept in zip(found, blocks.states(), strict=True)
        )


@dataclass(frozen=True)
class OtherSlot:
    """Gives every block the states of the next block of the same example, as if that stood there.

    `trunks` are those of the B examples, each with at least two blocks of one size.
    """

    trunks: Sequence[Tree]

    def __call__(self, blocks: HeldBlocks) -> None:
        number = sum(node.kind == Kind.MEMORY for node in self.trunks[0].nodes)
        size = blocks.position_BS.shape[1] // number
        states = BlockStates(blocks.backbone, self.trunks, blocks.read).at(blocks.position_BS.roll(size, 1))
        blocks.put([part_BSHW.roll(-size, 1) for part_BSHW in layer] for layer in states)


@dataclass(frozen=True)
class Mean:
    """Replaces block states by their mean over references, for each slot, as if the references' blocks stood there.

    `references` are R trunks.

    Raises:
        ValueError: as it is called; numbers of memory tokens differ.
    """

    references: Sequence[Tree]

    def __call__(self, blocks: HeldBlocks) -> None:
        for rows, states in _by_place(blocks, self.references):
            mean = [[part_RSHW.float().mean(0) for part_RSHW in layer] for layer in states]
            for row in rows:
                blocks.put(mean, slice(row, row + 1))


@dataclass(frozen=True)
class Noise:
    """Replaces block states by Gaussian noise with the mean and spread of references, as if their blocks stood there.

    Both are taken for each slot, layer, head and feature. An example's noise depends on the references and on its own
    seed, and not on the batch that it shares.

    `references` are R trunks, at least two; `seeds` one number for each of the B examples.

    Raises:
        ValueError: as it is called; numbers of memory tokens differ.
    """

    references: Sequence[Tree]
    seeds: Sequence[int]

    def __call__(self, blocks: HeldBlocks) -> None:
        for rows, states in _by_place(blocks, self.references):
            moments = [[torch.std_mean(part_RSHW.float(), dim=0) for part_RSHW in layer] for layer in states]
            for row in rows:
                blocks.put(_drawn(moments, self.seeds[row]), slice(row, row + 1))


def _zero(blocks: HeldBlocks) -> None:
    """Replaces block states by zeros."""
    blocks.put([torch.zeros_like(part_BSHW) for part_BSHW in layer] for layer in blocks.states())


def _by_place(blocks: HeldBlocks, references: Sequence[Tree]) -> Iterator[tuple[list[int], list[LayerStates]]]:
    """For each of the U places of blocks in a batch its rows, and the references' states [R, S, H, W] there."""
    states = BlockStates(blocks.backbone, references, blocks.read)
    place_US, place_B = blocks.position_BS.unique(dim=0, return_inverse=True)
    for number, position_S in enumerate(place_US):
        rows = (place_B == number).nonzero()[:, 0].tolist()
        yield rows, states.at(position_S.expand(len(references), -1))


def _drawn(moments: Sequence[Sequence[tuple[Tensor, Tensor]]], seed: int) -> list[list[Tensor]]:
    """[S, H, W] keys and values of every layer, given the spread and the mean of each."""
    generator = torch.Generator().manual_seed(seed)

    def noise(spread_SHW: Tensor, mean_SHW: Tensor) -> Tensor:
        return mean_SHW + spread_SHW * torch.randn(mean_SHW.shape, generator=generator).to(mean_SHW.device)

    return [[noise(*part) for part in layer] for layer in moments]


def cache_edit(
    control: str | None, rows: Sequence[int], split: Split, trunk: Callable[[int], Tree]
) -> CacheEdit | None:
    """What a control does to the blocks of these rows of a split; nothing where it edits no state.

    Args:
        control: a name of `rim.settings.checks.CONTROLS`; None: no control.
        trunk: row of the split → the trunk that it is answered from.
    """
    if control in ("swapped", "keys_only", "values_only"):
        foreign = [trunk(row) for row in donors(split, rows)]
        return Swap(foreign, keys=control != "values_only", values=control != "keys_only")
    if control in ("noise", "mean"):
        found = [trunk(row) for row in references(split)]
        return Noise(found, rows) if control == "noise" else Mean(found)
    if control == "other_slot":
        return OtherSlot([trunk(row) for row in rows])
    return _zero if control == "zero" else None
