"""Which tokens of a pass are memory tokens, and an embedding of which their rows alone train.

Axes: B examples, Q tokens of a pass, T memory tokens, D width, V vocabulary.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn


def memory_slots(ids_BQ: Tensor, token_T: Tensor) -> tuple[Tensor, Tensor]:
    """Which tokens are memory tokens, bool [B, Q], and which of the T each of them is, [B, Q] (0 for other tokens)."""
    same_BQT = ids_BQ[..., None] == token_T
    return same_BQT.any(-1), same_BQT.int().argmax(-1)


def trained(first_TD: Tensor) -> Tensor:
    """Values that a weight which trains begins with, in fp32 at least, whatever the type of frozen ones."""
    return first_TD.to(torch.promote_types(first_TD.dtype, torch.float32))


class MemoryEmbedding(nn.Module):
    """A frozen embedding, and trainable rows [T, D] that are read in the place of its own for the memory tokens.

    The frozen matrix [V, D] is read where it lies, so neither a pass nor a gradient takes memory of its size. A head
    that is tied to it stays as it is: memory tokens are never generated. The rows are an embedding of the same class,
    so that a family which scales its embeddings scales them, too.

    Args:
        base: the embedding of all tokens.
        tokens: T ids of memory tokens; the rows begin as theirs, in fp32 at least.
    """

    token_T: Tensor

    def __init__(self, base: nn.Embedding, tokens: Sequence[int]) -> None:
        super().__init__()
        self.base = base
        first_TD = trained(base.weight.detach()[list(tokens)])
        self.rows = copy.deepcopy(base, {id(base.weight): nn.Parameter(first_TD)})
        self.rows.num_embeddings = len(tokens)
        self.register_buffer("token_T", torch.tensor(tokens, device=first_TD.device), persistent=False)

    @property
    def weight(self) -> Tensor:
        """The frozen matrix, as models ask an embedding for it."""
        return self.base.weight

    def forward(self, ids_BQ: Tensor) -> Tensor:
        """[B, Q, D] embeddings, in the type of the frozen matrix."""
        memory_BQ, slot_BQ = memory_slots(ids_BQ, self.token_T)
        base_BQD = self.base(ids_BQ)
        return torch.where(memory_BQ[..., None], self.rows(slot_BQ).to(base_BQD.dtype), base_BQD)
