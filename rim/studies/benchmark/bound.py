"""The least time that a pass of the model can take: its weights have to be read once.

    milliseconds = bytes of the weights / memory bandwidth

Decoding one question is near it on good hardware with good software. A prefill also computes: with many positions, or
on a CPU, its arithmetic takes longer than the reading.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from rim.backbone.backbone import Backbone
from rim.evaluation.waiting import now

MATRIX = 2**28
"""Bytes of the matrix that the bandwidth is measured with: more than caches hold."""
ON_GPU = 16
"""Times as many on a GPU, which reads `MATRIX` in so short a time that calling and waiting would be a part of it."""
REPEATS = 9


@dataclass(frozen=True)
class Bound:
    """Bytes that a pass reads, and bytes per second."""

    bytes: int
    bandwidth: float
    measured: bool

    @property
    def ms(self) -> float:
        """Milliseconds of a pass at least."""
        return 1e3 * self.bytes / self.bandwidth


def bound_of(backbone: Backbone, stated: float | None) -> Bound:
    """The bound of a model where it is.

    Args:
        stated: bandwidth in GB/s (10^9 bytes); None: measured.
    """
    bandwidth = measured_bandwidth(backbone.device) if stated is None else 1e9 * stated
    return Bound(weight_bytes(backbone), bandwidth, stated is None)


def weight_bytes(backbone: Backbone) -> int:
    """Of all weights that every pass reads: of the tables that tokens are looked up in only those that are tied."""
    model = backbone.model
    output, embedding = model.get_output_embeddings(), model.get_input_embeddings()
    looked_up = set() if output is not None and output.weight is embedding.weight else {id(embedding.weight)}
    weights: dict[int, Tensor] = {id(each): each for each in model.parameters()}
    return sum(each.nbytes for key, each in weights.items() if key not in looked_up)


def measured_bandwidth(device: torch.device, repeats: int = REPEATS) -> float:
    """Bytes per second that the product of a matrix and a vector reads, as decoding does; the best of some."""
    size = MATRIX * (ON_GPU if device.type == "cuda" else 1)
    matrix = torch.ones(size // 4 // 4096, 4096, device=device)
    vector = torch.ones(4096, device=device)
    seconds = []
    for _ in range(repeats):
        begin = now(device)
        matrix @ vector
        seconds.append(now(device) - begin)
    return matrix.nbytes / min(seconds)
