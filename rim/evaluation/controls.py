"""Controls: is the answer in the blocks? Their states are swapped between examples, or replaced by noise, in the cache.

`removed` needs no edit: the question is answered without blocks. All blocks are edited at once, in every layer where
they exist; each readout's branch point is then read again against the edited states, and before it the text that
stands after blocks: it sees its own question and foreign memory.

Foreign states are taken at the positions of the example's own blocks (`rim/backbone/block_states.py`), and noise is
drawn for each slot. So a control takes away what states say about their question, and neither where a block stands nor
which one it is. A slot whose state is the same in all examples, as in the first layer, keeps it.

Weights were never trained for any of this: a fall shows that the blocks are used, not what they hold, and a separately
trained run without blocks (`method.name=direct`) belongs beside it.

Axes: B examples, R references, U places of blocks, S memory tokens of an example ("slots"), H key-value heads, W head
width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rim.backbone.block_states import BlockStates, HeldBlocks
from rim.backbone.decode import CacheEdit
from rim.data.joined import Split
from rim.evaluation.donors import donors, references
from rim.tree import Tree

VERSION = 2
"""Of the edits, written into results: accuracies under different versions do not compare. In version 1 a donor's keys
stood at the donor's positions, noise had one mean and spread for all slots, and both depended on the batch."""


@dataclass(frozen=True)
class Swap:
    """Gives every example the block states of another, as if that one's blocks stood where its own do.

    `donors` are the trunks of the others, one for each of the B examples.

    Raises:
        ValueError: as it is called; examples and donors differ in their number of memory tokens.
    """

    donors: Sequence[Tree]

    def __call__(self, blocks: HeldBlocks) -> None:
        blocks.put(BlockStates(blocks.backbone, self.donors, blocks.read).at(blocks.position_BS))


@dataclass(frozen=True)
class Noise:
    """Replaces block states by Gaussian noise with the mean and spread of references, as if their blocks stood there.

    Both are taken for each slot, layer, head and feature. An example's noise depends on the references and on its own
    seed, and not on the batch that it shares.

    `references` are R trunks, at least two; `seeds` one number for each of the B examples.

    Raises:
        ValueError: as it is called; there is one reference, or numbers of memory tokens differ.
    """

    references: Sequence[Tree]
    seeds: Sequence[int]

    def __call__(self, blocks: HeldBlocks) -> None:
        if len(self.references) < 2:
            raise ValueError("the spread of block states needs at least two references")
        states = BlockStates(blocks.backbone, self.references, blocks.read)
        place_US, place_B = blocks.position_BS.unique(dim=0, return_inverse=True)
        for number, position_S in enumerate(place_US):
            found = states.at(position_S.expand(len(self.references), -1))
            moments = [[torch.std_mean(part_RSHW.float(), dim=0) for part_RSHW in layer] for layer in found]
            for row in (place_B == number).nonzero()[:, 0].tolist():
                blocks.put(_drawn(moments, self.seeds[row]), slice(row, row + 1))


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
    if control == "swapped":
        return Swap([trunk(row) for row in donors(split, rows)])
    if control == "noise":
        return Noise([trunk(row) for row in references(split)], rows)
    return None
