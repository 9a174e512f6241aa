"""Training with weights, gradients and moments shared out among the processes, for models that one GPU cannot train.

Lightning's `ModelParallelStrategy` is not used: it reads checkpoints past the `CheckpointIO`, looks for full names in
them, and takes the weights out before `on_load_checkpoint` can check them strictly. Here DDP's strategy starts the
processes as ever, and `fully_shard` takes the place of its wrapper. Checkpoints are those of any other run, which may
go on under another strategy.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from lightning.pytorch.strategies import DDPStrategy
from torch.distributed.device_mesh import init_device_mesh
from torch.optim import Optimizer

from rim.backbone.backbone import Backbone
from rim.backbone.sharding import like, shard, whole


class ShardedStrategy(DDPStrategy):
    """DDP's processes, each of which keeps a slice of every weight of the module's backbone."""

    def configure_ddp(self) -> None:
        """Share the weights out, in the place of DDP's wrapper; a resumed run has loaded them before."""
        assert self.lightning_module is not None
        backbone = self.lightning_module.backbone
        assert isinstance(backbone, Backbone)
        shard(backbone, init_device_mesh(self.root_device.type, (self.world_size,)))

    @contextmanager
    def block_backward_sync(self) -> Iterator[None]:
        """Exchange gradients in every pass: until they are exchanged, every process would hold whole ones."""
        yield

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The state of the optimiser as it would be without sharding, on the CPU; all processes have to ask."""
        found: dict[str, Any] = super().optimizer_state(optimizer)
        moments = {number: {k: whole(v).cpu() for k, v in each.items()} for number, each in found["state"].items()}
        return {**found, "state": moments}

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Take up this process's slices of such a state."""
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            moments = {
                number: {k: like(v, parameters[number]) for k, v in each.items()}
                for number, each in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": moments})
