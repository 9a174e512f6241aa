"""Training with weights, gradients and moments shared out among the processes, for models that one GPU cannot train.

Lightning's `ModelParallelStrategy` is not used: it reads checkpoints past the `CheckpointIO`, looks for full names in
them, and takes the weights out before `on_load_checkpoint` can check them strictly. Here DDP's strategy starts the
processes as ever, and `fully_shard` (`RimModule.configure_model`) takes the place of its wrapper. Checkpoints are those
of any other run, which may go on under another strategy.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch.optim import Optimizer

from rim.backbone.sharding import collect, like


class ShardedStrategy(DDPStrategy):
    """DDP's processes, each of which keeps a slice of every weight of the module's backbone."""

    def configure_ddp(self) -> None:
        """Wrap nothing: the module has shared its weights out."""

    @contextmanager
    def block_backward_sync(self) -> Iterator[None]:
        """Exchange gradients in every pass: until they are exchanged, every process would hold whole ones."""
        yield

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        """The state of the optimiser as it would be without sharding, in the first process; all have to ask."""
        found: dict[str, Any] = super().optimizer_state(optimizer)
        moments = {number: collect(each, keep=self.is_global_zero) for number, each in found["state"].items()}
        return {**found, "state": moments}

    def load_checkpoint(self, checkpoint_path: Any, weights_only: bool | None = None) -> dict[str, Any]:
        """A checkpoint of which nothing is read from disk but what is copied: a process's slices."""
        found: dict[str, Any] = torch.load(checkpoint_path, map_location="cpu", mmap=True, weights_only=True)
        return found

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Take up this process's slices of such a state."""
        for optimizer, saved in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            moments = {
                number: {k: like(v, parameters[number]) for k, v in each.items()}
                for number, each in saved["state"].items()
            }
            optimizer.load_state_dict({**saved, "state": moments})
