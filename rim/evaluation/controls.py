"""Controls: is the answer in the blocks? Their states are swapped between examples or replaced by noise in the cache.

`removed` needs no edit: the question is answered without blocks. All blocks are edited at once, in every layer where
they exist; each readout's branch point is then read again against the edited states, and before it the text that
stands after blocks: it sees its own question and foreign memory.
Weights were never trained for any of this: a fall shows that the blocks are used, not what they hold, and a separately
trained run without blocks (`method.name=direct`) belongs beside it.

Axes: B examples, J cached columns, H key-value heads, D head width.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from rim.backbone.decode import CacheEdit
from rim.backbone.insertion import MemoryCache

NAMES = ("removed", "swapped", "noise")


def swap(cache: MemoryCache, memory_BJ: Tensor) -> None:
    """Give every example the block states of the next example of the batch.

    Batches should hold questions of similar length: block states carry positions, and a donor's are off by the
    difference in length. Blocks are matched in order; a batch of one example has no donor.

    Raises:
        ValueError: the batch holds one example.
    """
    if len(memory_BJ) < 2:
        raise ValueError("block states of one example cannot be swapped: the batch needs at least two")
    donor_BJ = memory_BJ.roll(1, 0)
    for by_token in _states(cache):
        by_token[memory_BJ] = by_token.roll(1, 0)[donor_BJ]


def add_noise(cache: MemoryCache, memory_BJ: Tensor, seed: int = 0) -> None:
    """Replace block states by Gaussian noise with their mean and spread over the batch, per layer, head and feature."""
    generator = torch.Generator().manual_seed(seed)
    for by_token in _states(cache):
        states = by_token[memory_BJ].float()
        noise = torch.randn(states.shape, generator=generator).to(states.device)
        by_token[memory_BJ] = (states.mean(0) + noise * states.std(0)).to(by_token.dtype)


def _states(cache: MemoryCache) -> Iterator[Tensor]:
    """Views [B, J, H, D] of the keys and values of every layer that holds memory."""
    for layer in cache.layers[cache.first_layer :]:
        for states_BHJD in (getattr(layer, "keys", None), getattr(layer, "values", None)):
            if states_BHJD is not None:
                yield states_BHJD.transpose(1, 2)


EDITS: dict[str, Callable[[MemoryCache, Tensor], None]] = {"swapped": swap, "noise": add_noise}


def cache_edit(control: str | None) -> CacheEdit | None:
    """The edit of a control; none for ordinary answers and for `removed`.

    Raises:
        ValueError: an unknown name; lists the known ones.
    """
    if control is not None and control not in NAMES:
        raise ValueError(f"'{control}' is not a control of the blocks; known: {', '.join(NAMES)}")
    return EDITS.get(control) if control else None
