"""Some of the tokens of every row, packed to the left.

Axes: B rows, N tokens, Q packed tokens; after them axes of any kind.
"""

import torch
from torch import Tensor


def packed(chosen_BN: Tensor, least: int = 0, most: int | None = None) -> tuple[Tensor, Tensor]:
    """Places [B, Q] of the chosen tokens in order, as many as the row with most has, and which of them are chosen.

    Args:
        least: smallest Q.
        most: chosen tokens of the row with most; None: counted here, for which a GPU is waited for.
    """
    count_B = chosen_BN.sum(1)
    length = max(least, int(count_B.max()) if most is None else most)
    place_BQ = torch.argsort((~chosen_BN).int(), dim=1, stable=True)[:, :length]
    return place_BQ, torch.arange(place_BQ.shape[1], device=place_BQ.device) < count_B[:, None]


def at(values: Tensor, place_BQ: Tensor) -> Tensor:
    """[B, Q, …] the values [B, N, …] at these places."""
    index = place_BQ.view(*place_BQ.shape, *[1] * (values.ndim - 2))
    return values.gather(1, index.expand(-1, -1, *values.shape[2:]))
