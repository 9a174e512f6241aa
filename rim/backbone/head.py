"""What makes logits of a model's last states, apart from the layers below it; losses of tokens in chunks.

With a vocabulary of 128,000 the logits of a pass, their softmax and its gradient take gigabytes. So training asks a
pass for the states that logits are made of, and makes logits of a part of them at a time: once in the forward pass, and
again in the backward pass.

A family may do more than multiply by its output matrix: scale the logits, or cap them. No model code is repeated: the
family's own code makes them, with something that gives the states in the place of the layers.

Axes: S supervised tokens, D width, V vocabulary.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from rim.backbone.insertion import InsertionError, layer_stack

LOGITS = 64 * 2**20
"""Most logits that are made at a time: 256 MiB in fp32, and with their softmax and its gradient about three times that.
Of a vocabulary of 128,000 these are 524 rows, which still keep a GPU busy."""


@dataclass(frozen=True)
class Head:
    """What stands above the layers of a model.

    `path` is the name of the module that holds the layers, `given` the class of what it gives, `vocabulary` the number
    of logits of a token.
    """

    path: str
    given: type[ModelOutput]
    vocabulary: int

    def logits(self, model: PreTrainedModel, states_SD: Tensor) -> Tensor:
        """[S, V] logits that the model makes of these states."""
        given = _Given(self.given(last_hidden_state=states_SD[None]))
        return _with(model, self.path.split("."), given)(use_cache=False).logits[0]

    def losses(self, model: PreTrainedModel, states_SD: Tensor, target_S: Tensor) -> Tensor:
        """[S] negative log-likelihoods in nats of the targets, with at most `LOGITS` logits at a time."""

        def nll(states_SD: Tensor, target_S: Tensor) -> Tensor:
            return cross_entropy(self.logits(model, states_SD).float(), target_S, reduction="none")

        rows = max(1, LOGITS // self.vocabulary)
        if len(target_S) <= rows:
            return nll(states_SD, target_S)
        chunks = zip(states_SD.split(rows), target_S.split(rows), strict=True)
        return torch.cat([checkpoint(nll, *chunk, use_reentrant=False, preserve_rng_state=False) for chunk in chunks])

    @contextmanager
    def watched(self, model: PreTrainedModel) -> Iterator[list[Tensor]]:
        """The last states of the passes that the model makes inside."""
        found: list[Tensor] = []
        layers = model.get_submodule(self.path)
        with layers.register_forward_hook(lambda _, __, output: found.append(output.last_hidden_state)):
            yield found


@torch.no_grad()
def find_head(model: PreTrainedModel) -> Head | None:
    """The head of a model; None where its logits are not made of the last states alone, as one token shows."""
    outputs: list[Any] = []
    try:
        stack = layer_stack(model)[0]
    except InsertionError:
        return None
    path = next(path for path, module in model.named_modules() if module is stack)
    training = model.training
    ids_BQ = torch.zeros(1, 1, dtype=torch.long, device=next(model.parameters()).device)
    with stack.register_forward_hook(lambda _, __, output: outputs.append(output)):
        whole = model.eval()(input_ids=ids_BQ, use_cache=False, output_hidden_states=True)
    model.train(training)
    if not path or not isinstance(outputs[0], ModelOutput):
        return None
    head = Head(path, type(outputs[0]), whole.logits.shape[-1])
    logits_SV = head.logits(model, whole.hidden_states[-1][0])
    return head if torch.allclose(logits_SV, whole.logits[0], rtol=1e-5, atol=1e-5) else None


class _Given(nn.Module):
    """Stands in the place of the layers and gives what it was made with, whatever it is asked."""

    def __init__(self, output: ModelOutput) -> None:
        super().__init__()
        self.output = output

    def forward(self, *_: Any, **__: Any) -> ModelOutput:
        """The states."""
        return self.output


def _with(module: nn.Module, path: list[str], part: nn.Module) -> Any:
    """The module with another part at this path; it shares everything else."""
    view, (name, *rest) = copy.copy(module), path
    view._modules = {**module._modules, name: _with(module.get_submodule(name), rest, part) if rest else part}
    return view
