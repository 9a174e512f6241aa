"""The LightningModule: sums and counts in, one division per update, greedy accuracy on held-out examples.

Axes: S supervised tokens of a micro-batch, R readouts.
"""

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist
from torch import Tensor
from torch.optim import AdamW, Optimizer

from rim.backbone.backbone import Backbone
from rim.base.errors import UserError
from rim.data.joined import Split
from rim.evaluation.evaluator import Evaluator
from rim.evaluation.predictions import Prediction
from rim.methods.method import Method, nll_by_readout
from rim.runs.checkpoint import describe_weights, load_strictly
from rim.settings import Config
from rim.training.datamodule import TrainingBatch
from rim.training.plan import Plan, StagePlan


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
        self,
        backbone: Backbone,
        method: Method,
        plan: Plan,
        config: Config,
        evaluator: Evaluator,
        heldout: Split,
    ) -> None:
        super().__init__()
        backbone.split_head()
        self.backbone, self.method, self.plan, self.config = backbone, method, plan, config
        self.evaluator, self.heldout = evaluator, heldout
        self.updates = 0
        self.readouts = max(config.data.max_steps, config.memory.blocks) + 1
        self.report: UpdateReport | None = None
        self.predictions: list[Prediction] = []
        self._tally: Tensor | None = None
        self._suspects: list[str] = []
        self.strict_loading = False  # checkpoints hold the trained weights alone; `on_load_checkpoint` is strict itself

    @property
    def stage(self) -> StagePlan:
        """The stage in force."""
        return self.plan.at(self.updates)

    # ------------------------------------------------------------------ training

    def training_step(self, batch: TrainingBatch, batch_idx: int) -> Tensor:
        """Weighted sum of the micro-batch's losses; the division waits for the whole update's count."""
        place = (self.stage.index, self.updates - self.stage.first)
        if (batch.stage, batch.update) != place:
            raise StageMismatch(
                f"a batch of stage {batch.stage}, update {batch.update} arrived in stage {place[0]}, update "
                f"{place[1]}: the loader was built for another segment; rebuild it when the segment changes"
            )
        seed_noise(self.config.run.seed, batch.stage, batch.update, batch.part)
        losses = self.method.losses(self.backbone, batch.trees)
        self._remember(batch, losses.total.detach(), losses.count, losses.nll_S)
        return losses.total

    def _remember(self, batch: TrainingBatch, total: Tensor, count: float, nll_S: Tensor) -> None:
        sums_R, tokens_R = nll_by_readout(batch.trees, nll_S, self.readouts)
        tally = torch.cat([total[None], sums_R, tokens_R]).cpu().double()  # one transfer; not every device has doubles
        tally = torch.cat([torch.tensor([count, len(batch.ids)], dtype=torch.float64), tally])
        self._tally = tally if self._tally is None else self._tally + tally
        if not torch.isfinite(tally[2]):
            rows = batch.trees.example_S[~torch.isfinite(nll_S)].unique().tolist()
            self._suspects += [batch.ids[row] for row in rows] or batch.ids

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Divide the summed gradients by the update's count over all micro-batches and processes.

        Lightning divided by the number of micro-batches and DDP by the number of processes; both are undone.
        """
        assert self._tally is not None
        if dist.is_initialized():
            tally = self._tally.to(self.device)
            dist.all_reduce(tally)
            self._tally = tally.cpu()
        count, _, total = self._tally[:3].tolist()
        if not math.isfinite(total / count):
            self._refuse("loss", total / count)
        scale = self.trainer.accumulate_grad_batches * self.trainer.world_size / count
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        torch._foreach_mul_(grads, scale)

    def configure_gradient_clipping(
        self, optimizer: Optimizer, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip by the norm of all gradients, and refuse a norm that is not finite."""
        parameters = [p for group in optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.config.training.clip or math.inf).item()
        if not math.isfinite(norm):
            self._refuse("gradient norm", norm)
        self._report(norm, optimizer)

    def _refuse(self, what: str, value: float) -> None:
        suspects = self._suspects
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

    def _report(self, norm: float, optimizer: Optimizer) -> None:
        assert self._tally is not None
        count, examples, total, *parts = self._tally.tolist()
        sums, tokens = parts[: self.readouts], parts[self.readouts :]
        by_readout = {r: sums[r] / tokens[r] for r in range(self.readouts) if tokens[r]}
        rate = optimizer.param_groups[0]["lr"]
        name = self.stage.stage.name
        self.report = UpdateReport(self.updates + 1, name, total / count, by_readout, rate, norm, int(examples))

    def optimizer_step(self, epoch: int, batch_idx: int, optimizer: Any, optimizer_closure: Any = None) -> None:
        """One update at the rate of the stage's schedule."""
        rate = self.stage.learning_rate(self.updates - self.stage.first)
        for group in optimizer.param_groups:
            group["lr"] = rate
        if self._turns():
            optimizer.state.clear()
        super().optimizer_step(epoch, batch_idx, optimizer, optimizer_closure)
        self.updates += 1
        self._tally, self._suspects = None, []

    def _turns(self) -> bool:
        """Whether the method's curriculum takes a step at this update, within a stage that resets the optimiser."""
        plan, inside = self.stage, self.updates - self.stage.first
        if not inside or not plan.stage.reset_optimizer:
            return False
        return self.method.level(plan.moment(inside)) != self.method.level(plan.moment(inside - 1))

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

    # ------------------------------------------------------------------ held-out accuracy

    def on_validation_epoch_start(self) -> None:
        """Forget earlier predictions."""
        self.predictions = []

    def validation_step(self, rows: list[int], batch_idx: int) -> None:
        """Answer a batch of held-out questions as the stage that has just been trained reads them."""
        stage = self.plan.at(self.updates - 1).stage
        self.predictions += self.evaluator.predict(self.backbone, self.heldout, rows, stage=stage)

    # ------------------------------------------------------------------ checkpoints

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what training changes and the position; Lightning's loop counters would be a second truth."""
        checkpoint.pop("loops", None)
        checkpoint["state_dict"] = self.backbone.trainable_state()
        checkpoint["rim"] = {"updates": self.updates, "weights": describe_weights(self.backbone)}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take up the position, and refuse weights of another model."""
        self.updates = checkpoint["rim"]["updates"]
        load_strictly(self.backbone, checkpoint["state_dict"], checkpoint["rim"]["weights"], "the checkpoint")
        checkpoint["state_dict"] = {}


def seed_noise(*numbers: int) -> None:
    """Make dropout a function of these numbers, so that it survives interruptions and other numbers of processes."""
    torch.manual_seed(int.from_bytes(hashlib.sha256(repr(numbers).encode()).digest()[:7], "big"))
