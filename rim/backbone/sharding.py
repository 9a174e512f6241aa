"""Weights shared out among processes (FSDP2): each keeps a slice of every weight, its gradient and its moments.

A layer is whole only while it is read or its gradients are made. The rest (embeddings, head, what a method adds) is one
group, which stays whole from a forward pass to the end of its backward pass: training makes logits of last states after
the model has been left (`rim/backbone/head.py`).
"""

from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from rim.backbone.backbone import Backbone
from rim.backbone.insertion import layer_stack


def shard(backbone: Backbone, mesh: DeviceMesh) -> None:
    """Keep this process's slice of every weight from now on. All processes have to have the same weights before.

    Raises:
        InsertionError: the layers do not stand in one list.
    """
    for layer in layer_stack(backbone.causal)[1]:
        fully_shard(layer, mesh=mesh)
    fully_shard(backbone, mesh=mesh, reshard_after_forward=False)


def gather(backbone: Backbone) -> None:
    """From now on all weights are whole in every process, and passes exchange nothing. All processes have to come here.

    Does nothing to a backbone that is not sharded.
    """
    for part in _parts(backbone):
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()


def release(backbone: Backbone) -> None:
    """Keep slices alone again."""
    for part in _parts(backbone):
        part.set_reshard_after_forward(not isinstance(part, Backbone), recurse=False)
        part.reshard()


def _parts(backbone: Backbone) -> list[FSDPModule]:
    return [module for module in backbone.modules() if isinstance(module, FSDPModule)]


def whole(tensor: Tensor) -> Tensor:
    """A tensor with the slices of all processes, each of which has to ask; one that is not shared out is given back."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def local(tensor: Tensor) -> Tensor:
    """The slice of a tensor that this process has; all of it where it is not shared out."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def like(tensor: Tensor, shared: Tensor) -> Tensor:
    """This process's slice of a whole tensor, cut as another one is; all of it where that one is not shared out."""
    if not isinstance(shared, DTensor) or tensor.shape != shared.shape:
        return tensor
    ready = tensor.to(shared.device)
    return distribute_tensor(ready, shared.device_mesh, shared.placements, src_data_rank=None)
