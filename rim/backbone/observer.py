"""What is seen of every branch as it is answered: how sure its first token is, and the state it is read from.

Nothing is read once more for it. A hook keeps what one layer gives in the passes that read the trunk; its states lie as
the columns of the cache do, so these tell which token each belongs to, however many passes there were.

Axes: B examples, N tokens of a tree, Q tokens of a pass, J cached columns, K branches, U wanted logits, D width,
V vocabulary.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from rim.backbone.backbone import Backbone
from rim.backbone.insertion import InsertionError, MemoryCache, layer_stack
from rim.backbone.packing import at
from rim.backbone.reading import Outcome, Reader, Wanted
from rim.base.errors import UserError
from rim.base.tree import TreeBatch


class ObserverError(UserError):
    """A layer whose states cannot be observed."""


class Observer:
    """Looks on while one batch of prompts is answered.

    `probability_BK` is that of each answer's first token among all that may be generated; `state_BKD` the output of a
    layer at each branch point: the last token before the readout's cue or answer. Both float32, on the CPU.

    Args:
        layer: counted from 0, before the norm that follows the last one; None: the last.
    """

    probability_BK: Tensor
    state_BKD: Tensor

    def __init__(self, layer: int | None = None) -> None:
        self.layer = layer

    def watching(self, read: Reader, branches_BK: Sequence[Sequence[int]]) -> Reader:
        """The same reading, looked at.

        Args:
            branches_BK: for each prompt the nodes after whose last token its answers stand; what is wanted of the
                reading are the logits of their first tokens, in this order.

        Raises:
            ObserverError: as it reads; the model has no such layer.
        """

        def watched(backbone: Backbone, batch: TreeBatch, wanted: Wanted, cache: MemoryCache | None = None) -> Outcome:
            with outputs(layer_at(backbone, self.layer)) as states:
                outcome = read(backbone, batch, wanted, cache)
            column_BK = _columns(batch, outcome.column_BJ, branches_BK)
            self.state_BKD = at(torch.cat(states, dim=1), column_BK).float().cpu()
            self.probability_BK = largest(backbone, outcome.logits_UV).view(column_BK.shape).cpu()
            return outcome

        return watched


def layer_at(backbone: Backbone, layer: int | None) -> nn.Module:
    """A layer of a backbone's model, counted from 0; None: the last.

    Raises:
        ObserverError: there is no such layer.
    """
    layers = layers_of(backbone)
    if layer is None:
        return layers[-1]
    if layer >= len(layers):
        raise ObserverError(
            f"evaluation.probe_layer = {layer}: the model has {len(layers)} layers, counted from 0; "
            f"set at most {len(layers) - 1}, or leave it empty for the last"
        )
    return layers[layer]


def layers_of(backbone: Backbone) -> nn.ModuleList:
    """The layers of a backbone's model, adapted or not.

    Raises:
        ObserverError: they do not stand in one list.
    """
    try:
        return layer_stack(backbone.causal)[1]
    except InsertionError as error:
        raise ObserverError(
            f"the states of '{backbone.causal.config.model_type}' cannot be observed: its layers do not stand in one "
            "list. Use another backbone"
        ) from error


@contextmanager
def outputs(layer: nn.Module | None) -> Iterator[list[Tensor]]:
    """What a layer gives, [B, Q, D] for each pass made inside; None: nothing is kept."""
    found: list[Tensor] = []
    if layer is None:
        yield found
        return

    def keep(_: nn.Module, __: object, output: Tensor | tuple[Tensor, ...]) -> None:
        found.append(output[0] if isinstance(output, tuple) else output)

    with layer.register_forward_hook(keep):
        yield found


def largest(backbone: Backbone, logits_UV: Tensor) -> Tensor:
    """[U] probability of the most likely token; memory tokens, which are never generated, have none."""
    hidden = torch.tensor(backbone.special.memory_tokens, device=logits_UV.device)
    return logits_UV.index_fill(1, hidden, float("-inf")).float().softmax(-1).amax(-1)


def _columns(batch: TreeBatch, column_BJ: Tensor, branches_BK: Sequence[Sequence[int]]) -> Tensor:
    """[B, K] the cached column of the last token of each of these nodes."""
    node_BK = torch.tensor([list(row) for row in branches_BK], device=column_BJ.device)
    place_N = torch.arange(batch.node_BN.shape[1], device=column_BJ.device)
    last_BK = torch.where(batch.node_BN[:, None] == node_BK[:, :, None], place_N, -1).amax(2)
    return (column_BJ[:, None] == last_BK[:, :, None]).int().argmax(2)
