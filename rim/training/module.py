"""The LightningModule: sums and counts in, one division per update, greedy accuracy on the validation set.

An update is made by hand (Lightning's "manual optimization"), since updates differ in their number of passes. What is
told of it stays on the device until it ends, and is fetched in one go: a GPU is waited for once.

Axes: S supervised tokens of a pass, R readouts.
"""

import hashlib
import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from lightning.pytorch.core.optimizer import LightningOptimizer
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.optim import AdamW, Optimizer

from rim.backbone.backbone import Backbone
from rim.backbone.sharding import collect, in_step, local, shard, whole
from rim.base.errors import UserError
from rim.data.joined import Split
from rim.evaluation.evaluator import Evaluator
from rim.evaluation.predictions import Prediction
from rim.methods.method import Losses, Method, nll_by_readout
from rim.runs.checkpoint import describe_weights, load_strictly
from rim.settings import Config
from rim.training.datamodule import Pass, TrainingBatch
from rim.training.plan import Plan, StagePlan

SMALLEST = torch.finfo(torch.float32).tiny
"""Divides the sums of an update whose readouts have all faded, which are 0."""


class NonFiniteLoss(UserError):
    """A loss or gradient that is not a number; nothing was learned from it."""


class StageMismatch(RuntimeError):
    """A batch that was laid out for another stage or update than the one in force."""


@dataclass(frozen=True)
class UpdateReport:
    """What one update did, over all processes: mean loss in nats, its parts by readout, rate and gradient norm."""

    update: int
    stage: str
    loss: float
    loss_by_readout: dict[int, float]
    learning_rate: float
    gradient_norm: float
    examples: int


class RimModule(pl.LightningModule):
    """Trains a backbone by a method through the stages of a plan.

    `updates` counts the optimiser updates done and is the whole position of the run (see `plan.py`).
    """

    def __init__(
        self, backbone: Backbone, method: Method, plan: Plan, config: Config, evaluator: Evaluator, validation: Split
    ) -> None:
        super().__init__()
        if not config.training.sharded:  # else once there are weights
            backbone.split_head()
        if config.training.compile:
            backbone.compile_layers()
        self.backbone, self.method, self.plan, self.config = backbone, method, plan, config
        self.evaluator, self.validation = evaluator, validation
        self.updates = 0
        self.readouts = max(config.data.max_steps, config.memory.blocks) + 1
        self.report: UpdateReport | None = None
        self.predictions: list[Prediction] = []
        self.automatic_optimization = False
        self.strict_loading = False  # checkpoints hold the trained weights alone; `on_load_checkpoint` is strict itself

    @property
    def stage(self) -> StagePlan:
        """The stage in force."""
        return self.plan.at(self.updates)

    def configure_model(self) -> None:
        """Share the first process's weights out, before the checkpoint is loaded, and before the optimiser is made."""
        if not self.config.training.sharded:
            return
        device = self.trainer.strategy.root_device
        shard(self.backbone, init_device_mesh(device.type, (self.trainer.world_size,)), device)
        with in_step(self.backbone):
            self.backbone.split_head()

    # ------------------------------------------------------------------ training

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> None:
        """One update at the rate of the stage's schedule; its passes add up, and it is applied where all is finite."""
        self.require_place(batch)
        optimizer = self.optimizers()
        assert isinstance(optimizer, LightningOptimizer)
        optimizer.zero_grad()
        losses = [self.add_gradient(batch, part) for part in batch.passes]
        self.keep_up(batch)
        tally = self._tally(batch, losses)
        self.divide_gradient(optimizer.optimizer, tally[0])
        norm = self.clip_gradient(optimizer.optimizer)
        report = self._report(torch.cat([tally, norm[None]]).tolist())  # what an update waits for
        for what, value in (("loss", report.loss), ("gradient norm", report.gradient_norm)):
            if not math.isfinite(value):
                pairs = zip(batch.passes, losses, strict=True)
                self._refuse(what, value, [name for part, found in pairs for name in suspects(part, found)])
        self.step(optimizer)
        self.updates, self.report = report.update, report

    def require_place(self, batch: TrainingBatch) -> None:
        """Refuse a batch that was laid out for another place.

        Raises:
            StageMismatch: it belongs to another stage or update than the one in force.
        """
        place = (self.stage.index, self.updates - self.stage.first)
        if (batch.stage, batch.update) != place:
            raise StageMismatch(
                f"a batch of stage {batch.stage}, update {batch.update} arrived in stage {place[0]}, update "
                f"{place[1]}: the loader was built for another segment; rebuild it when the segment changes"
            )

    def add_gradient(self, batch: TrainingBatch, part: Pass) -> Losses:
        """Read a pass, forward and backward; gradients of weighted sums add up, and are divided when all are there."""
        seed_noise(self.device, self.config.run.seed, batch.stage, batch.update, part.number)
        with nullcontext() if part is batch.passes[-1] else self._apart():
            losses = self.method.losses(self.backbone, part.trees)
            with torch.autocast(self.device.type, enabled=False):  # what was cast forward is so backward by itself
                self.manual_backward(losses.total)
        return replace(losses, total=losses.total.detach())

    def keep_up(self, batch: TrainingBatch) -> None:
        """Where weights are shared out, read as many passes as the process with the most: each takes all of them."""
        if not self.config.training.sharded:
            return
        most = torch.tensor(len(batch.passes), device=self.device)
        dist.all_reduce(most, op=dist.ReduceOp.MAX)
        for _ in range(int(most) - len(batch.passes)):
            total = self.method.losses(self.backbone, batch.passes[-1].trees).total
            with torch.autocast(self.device.type, enabled=False):
                self.manual_backward(total * 0.0)

    def _apart(self) -> AbstractContextManager[None]:
        """Without exchanging gradients with the other processes; the last pass of an update does that for all."""
        strategy = self.trainer.strategy
        return strategy.block_backward_sync() if isinstance(strategy, DDPStrategy) else nullcontext()

    def _tally(self, batch: TrainingBatch, losses: list[Losses]) -> Tensor:
        """[3 + 2R] over all passes and processes: denominator, examples, loss, and its sums and tokens by readout."""
        rows = []
        for part, found in zip(batch.passes, losses, strict=True):
            known = [torch.full_like(found.total, number) for number in (found.count, len(part.ids))]
            by_readout = nll_by_readout(part.trees, found.nll_S, self.readouts)
            rows.append(torch.cat([torch.stack([*known, found.total]), *by_readout]))
        tally = torch.stack(rows).sum(0)
        if dist.is_initialized():
            dist.all_reduce(tally)
        return tally

    def divide_gradient(self, optimizer: Optimizer, count: Tensor) -> None:
        """Divide by the update's count over all passes and processes; DDP has divided by the number of processes."""
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        torch._foreach_mul_([local(grad) for grad in grads], self.trainer.world_size / count.clamp(min=SMALLEST))

    def clip_gradient(self, optimizer: Optimizer) -> Tensor:
        """Clip by the norm of all gradients, which is returned as it was."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        return whole(torch.nn.utils.clip_grad_norm_(parameters, self.config.training.clip or math.inf))

    def _refuse(self, what: str, value: float, suspects: list[str]) -> None:
        if dist.is_initialized():
            gathered: list[list[str]] = [[] for _ in range(dist.get_world_size())]
            dist.all_gather_object(gathered, suspects)
            suspects = sorted({name for part in gathered for name in part})
        inside = self.updates - self.stage.first
        raise NonFiniteLoss(
            f"the {what} is {value} at update {self.updates + 1} (update {inside + 1} of stage "
            f"'{self.stage.stage.name}'); examples with a non-finite loss: {', '.join(suspects) or 'none'}. The update "
            "was not applied and the last checkpoint is intact. Try a lower stages[i].learning_rate, or "
            "training.precision=fp32"
        )

    def _report(self, numbers: list[float]) -> UpdateReport:
        """Of the tally of an update, and its gradient's norm."""
        count, examples, total, *parts, norm = numbers
        sums, tokens = parts[: self.readouts], parts[self.readouts :]
        by_readout = {r: sums[r] / tokens[r] for r in range(self.readouts) if tokens[r]}
        rate = self.stage.learning_rate(self.updates - self.stage.first)
        name = self.stage.stage.name
        return UpdateReport(self.updates + 1, name, total / max(count, SMALLEST), by_readout, rate, norm, int(examples))

    def step(self, optimizer: LightningOptimizer) -> None:
        """Change the weights, at the rate of the stage's schedule."""
        for group in optimizer.param_groups:
            group["lr"] = self.stage.learning_rate(self.updates - self.stage.first)
        if self._turns():
            optimizer.optimizer.state.clear()
        optimizer.step()

    def _turns(self) -> bool:
        """Whether the method's curriculum takes a step at this update, within a stage that resets the optimiser."""
        plan, inside = self.stage, self.updates - self.stage.first
        if not inside or not plan.stage.reset_optimizer:
            return False
        return self.method.level(plan.progress(inside)) != self.method.level(plan.progress(inside - 1))

    def configure_optimizers(self) -> Optimizer:
        """AdamW over what trains; weight decay on matrices only. A stage's rate is set update by update."""
        trained = [p for p in self.backbone.parameters() if p.requires_grad]
        training = self.config.training
        groups = [
            {"params": [p for p in trained if p.ndim >= 2], "weight_decay": training.weight_decay},
            {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
        ]
        return AdamW(
            [group for group in groups if group["params"]], lr=0.0, betas=(training.betas[0], training.betas[1])
        )

    # ------------------------------------------------------------------ validation accuracy

    def on_validation_epoch_start(self) -> None:
        """Forget earlier predictions."""
        self.predictions = []

    def validation_step(self, rows: list[int], batch_idx: int) -> None:
        """Answer a batch of validation questions as the stage that has just been trained reads them."""
        stage = self.plan.at(self.updates - 1).stage
        self.predictions += self.evaluator.predict(self.backbone, self.validation, rows, stage=stage)

    # ------------------------------------------------------------------ checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what training changes and the position; Lightning's loop counters would be a second truth."""
        checkpoint.pop("loops", None)
        checkpoint["state_dict"] = collect(self.backbone.trainable_state(), keep=self.trainer.is_global_zero)
        checkpoint["rim"] = {"updates": self.updates, "weights": describe_weights(self.backbone)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the position, and refuse weights of another model."""
        self.updates = checkpoint["rim"]["updates"]
        load_strictly(self.backbone, checkpoint["state_dict"], checkpoint["rim"]["weights"], "the checkpoint")
        checkpoint["state_dict"] = {}


def suspects(part: Pass, losses: Losses) -> list[str]:
    """Ids of the examples of a pass whose loss is not finite; where it is the sum that is not, all of them."""
    if torch.isfinite(losses.total):
        return []
    trees = part.trees.example_S[~torch.isfinite(losses.nll_S)].unique().tolist()
    return [part.ids[tree] for tree in trees] or part.ids


def seed_noise(device: torch.device, *numbers: int) -> None:
    """Make dropout a function of these numbers, so that it survives interruptions and other numbers of processes.

    On a CPU its generator alone is asked: `torch.manual_seed` notes the seed, with a traceback, for every kind of
    device that has not started, which takes milliseconds and is never forgotten.
    """
    seed = int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:7], "big")
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)
