"""Weights shared out among processes (FSDP2): each keeps a slice of every weight, its gradient and its moments.

A layer is whole only while it is read or its gradients are made. The rest (embeddings, head, what a method adds) is one
group, which stays whole from a forward pass to the end of its backward pass: training makes logits of last states after
the model has been left (`rim/backbone/head.py`).

Every pass of one process takes all the others: they gather its weights together.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.distributed.tensor import DTensor, distribute_tensor

from rim.backbone.backbone import Backbone, Reading
from rim.backbone.insertion import layer_stack

FIRST = 0
"""The process whose weights are shared out."""


def shard(backbone: Backbone, mesh: DeviceMesh, device: torch.device) -> None:
    """Keep a slice of every weight from now on, on `device`; values are those of the first process.

    The others may have the backbone without values, on the meta device. Layer by layer is sent whole and cut, so that
    no device has more than in a pass. All processes have to come here.

    Raises:
        InsertionError: the layers do not stand in one list.
    """
    for layer in layer_stack(backbone.causal)[1]:
        _receive(layer, device)
        fully_shard(layer, mesh=mesh)
    _receive(backbone, device)
    fully_shard(backbone, mesh=mesh, reshard_after_forward=False)
    for module in backbone.modules():
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, _sent(buffer, device))
    for passes in ("read_text", "split_head"):  # they pass by `forward`, which gathers weights
        register_fsdp_forward_method(backbone, passes)


def _receive(part: nn.Module, device: torch.device) -> None:
    """Put the weights of a part, but for those that are shared out, on the device; tied ones stay tied."""
    taken: dict[nn.Parameter, nn.Parameter] = {}
    for module in part.modules():
        for name, weight in list(module.named_parameters(recurse=False)):
            if isinstance(weight, DTensor):
                continue
            if weight not in taken:
                taken[weight] = nn.Parameter(_sent(weight.detach(), device), weight.requires_grad)
            setattr(module, name, taken[weight])


def _sent(tensor: Tensor, device: torch.device) -> Tensor:
    """The first process's values of a tensor."""
    placed = torch.empty_like(tensor, device=device) if tensor.is_meta else tensor.to(device).contiguous()
    dist.broadcast(placed, FIRST)
    return placed


@contextmanager
def in_step(backbone: Backbone) -> Iterator[None]:
    """Passes without gradients, of which processes may make different numbers: those with fewer read along.

    All processes have to come here. Does nothing where weights are not shared out. (torch's `Join` would do it, too,
    and changes the warning filters of the whole program.)
    """
    if not isinstance(backbone, FSDPModule):
        yield
        return

    def count(mine: int) -> Tensor:
        """How many processes make a pass now."""
        passes = torch.tensor(mine, device=backbone.device)
        dist.all_reduce(passes)
        return passes

    def tell(*_: Any) -> None:
        count(1)

    handle = backbone.register_forward_pre_hook(tell, prepend=True)
    try:
        yield
    finally:
        handle.remove()
    while count(0):
        _read_along(backbone)
    backbone.reshard()


@torch.no_grad()
def _read_along(backbone: Backbone) -> None:
    one_11 = torch.full((1, 1), backbone.special.pad, device=backbone.device)
    place_11 = torch.zeros_like(one_11)
    backbone(one_11, Reading(place_11[:, None] == 0, place_11, place_11, keep=place_11))


def whole(tensor: Tensor) -> Tensor:
    """A tensor with the slices of all processes, each of which has to ask; one that is not shared out is given back."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def collect(state: Mapping[str, Tensor], keep: bool) -> dict[str, Tensor]:
    """Whole tensors on the CPU, gathered one after the other. All processes have to ask, also those that keep none."""
    found = {}
    for name, value in state.items():
        each = whole(value.detach())
        if keep:
            found[name] = each.cpu().contiguous()
        del each  # before the next one is gathered
    return found


def local(tensor: Tensor) -> Tensor:
    """The slice of a tensor that this process has; all of it where it is not shared out."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def like(tensor: Tensor, shared: Tensor) -> Tensor:
    """This process's slice of a whole tensor, cut as another one is; all of it where that one is not shared out."""
    if not isinstance(shared, DTensor) or tensor.shape != shared.shape:
        return tensor
    cut = distribute_tensor(tensor.detach(), shared.device_mesh, shared.placements, src_data_rank=None)
    return cut.clone()  # a slice of a tensor would keep all of it


@torch.no_grad()
def put(state: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    """Copy whole tensors into the weights of the same names, or each process its slices of them."""
    for name, value in state.items():
        weights[name].copy_(like(value, weights[name]))
