"""The curriculum callback: switches stages, scores the validation set, keeps checkpoints, and stops cleanly.

A Lightning epoch is one segment of the plan: the stretch between two validations. Stages change at segment boundaries,
where Lightning rebuilds the loader; everything is derived from `module.updates`, so no two places can disagree.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed as dist

from rim.base.files import write_json
from rim.data.joined import JoinedSplit, Split
from rim.evaluation.metrics import Score, score
from rim.evaluation.predictions import Prediction, from_all_processes
from rim.runs.checkpoint import save_weights
from rim.runs.signals import StopRequest
from rim.training.dropout import use_dropout
from rim.training.module import RimModule
from rim.training.plan import StagePlan
from rim.training.selection import Selection

RESUME = "resume.ckpt"
"""File in the run folder that a repeated command goes on from."""


class Interrupted(Exception):
    """Training was asked to stop (SIGTERM); everything is saved."""

    def __init__(self, update: int) -> None:
        super().__init__(f"stopped by SIGTERM after update {update}; repeat the command to go on")


class Curriculum(pl.Callback):
    """Drives a `RimModule` through its plan.

    It stands behind the loggers, so that whatever it saves or interrupts has been logged before.

    Args:
        folder: the run folder; weights go to `weights/`, the state to resume from to `resume.ckpt`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.selection = Selection()
        self.score = Score()
        self.predictions: list[Prediction] = []
        self.by_source: dict[str, list[Prediction]] = {}
        self.stop = StopRequest()

    def on_train_start(self, *_: Any) -> None:
        """Listen for SIGTERM again, now that Lightning has put its own handler in place."""
        self.stop.listen()

    # ------------------------------------------------------------------ stages

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Put the stage in force: its dropout, and a fresh optimiser where it begins."""
        assert isinstance(module, RimModule)
        plan = module.stage
        module.backbone.train()  # pretrained models come in evaluation mode, and Lightning leaves them there
        use_dropout(module.backbone, module.config, module.plan, plan.index)
        if module.updates == plan.first and plan.stage.reset_optimizer:
            trainer.strategy.setup_optimizers(trainer)

    # ------------------------------------------------------------------ saving

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Save what a resumed run needs, at the stage's distance or when asked to stop.

        At the end of a segment saving waits for the validation, which belongs to the same state. A checkpoint that is
        kept comes before: a run that goes on from this update does not keep it again.
        """
        assert isinstance(module, RimModule)
        plan = module.plan.at(module.updates - 1)
        if plan.keeps(module.updates):
            self._save(trainer, module, plan, str(module.updates))
        if _segment_ends(module):
            return
        stop = self._asked_to_stop(trainer)
        if stop or (module.updates - module.stage.first) % module.stage.save_every == 0:
            trainer.save_checkpoint(self.folder / RESUME)
        if stop:
            raise Interrupted(module.updates)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Save after the validation of the segment. After the last one, a repeated command scores the test sets."""
        assert isinstance(module, RimModule)
        trainer.save_checkpoint(self.folder / RESUME)
        if self._asked_to_stop(trainer):
            raise Interrupted(module.updates)

    def state_dict(self) -> dict[str, Any]:
        """The selection so far."""
        return self.selection.state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the selection up."""
        self.selection = Selection.from_state(state_dict)

    # ------------------------------------------------------------------ selection

    def on_validation_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Merge the predictions of all processes, and keep the weights where the stage says so.

        The loggers write them in `on_validation_end`, which comes later.
        """
        assert isinstance(module, RimModule)
        self.predictions = from_all_processes(module.predictions)
        self.by_source = by_source(self.predictions, module.validation)
        self.score = score(self.predictions)
        plan = module.plan.at(module.updates - 1)
        correct, count = self.score.correct_final, self.score.examples
        facts = (plan.stage.name, module.updates, correct, count)
        scored = {"validation_correct": correct, "validation_count": count}
        if self.selection.update_best(*facts):
            self._save(trainer, module, plan, "best", **scored)
        if module.updates == plan.last:
            self.selection.close(*facts)
            self._save(trainer, module, plan, "last", **scored)
        if trainer.is_global_zero:
            write_json(self.folder / "selection.json", self.selection.state())

    def _save(self, trainer: pl.Trainer, module: RimModule, plan: StagePlan, which: str, **scored: int) -> None:
        """Write a checkpoint of the stage, with its validation score where it has one."""
        if not (trainer.is_global_zero or module.config.training.sharded):
            return
        name = f"{plan.stage.name}-{which}"
        about = {"name": name, "stage": plan.stage.name, "update": module.updates, **scored}
        save_weights(module.backbone, self.folder / "weights" / f"{name}.safetensors", about)

    def _asked_to_stop(self, trainer: pl.Trainer) -> bool:
        """Whether any process has received SIGTERM, here or while Lightning listened; all get the same answer."""
        flag = torch.tensor(float(self.stop.received or trainer.received_sigterm))
        if dist.is_initialized():
            flag = flag.to(trainer.strategy.root_device)
            dist.all_reduce(flag, op=dist.ReduceOp.MAX)
        return bool(flag.item())


def by_source(predictions: Iterable[Prediction], validation: Split) -> dict[str, list[Prediction]]:
    """The predictions of each validation set; empty where there is only one."""
    if not isinstance(validation, JoinedSplit):
        return {}
    found: dict[str, list[Prediction]] = {part.report.source: [] for part in validation.parts}
    for row in predictions:
        found[validation.source_of[row.id]].append(row)
    return found


def _segment_ends(module: RimModule) -> bool:
    plan = module.plan.at(module.updates - 1)
    inside = module.updates - plan.first
    return inside == plan.length or inside % plan.validate_every == 0
