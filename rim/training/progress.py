"""A progress bar that names the stage and counts its updates."""

import sys
from typing import Any

import lightning.pytorch as pl
from tqdm import tqdm

from rim.training.curriculum import Curriculum
from rim.training.module import RimModule


class StageProgress(pl.Callback):
    """One bar per stage: updates, loss, validation accuracy. Without a terminal, a line after every validation.

    The first process shows it.
    """

    def __init__(self, curriculum: Curriculum) -> None:
        self.curriculum = curriculum
        self.bar: tqdm | None = None
        self.stage = ""
        self.accuracy = ""

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Open the bar of a stage."""
        assert isinstance(module, RimModule)
        plan = module.stage
        if not trainer.is_global_zero or plan.stage.name == self.stage:
            return
        self.close()
        self.stage, self.accuracy = plan.stage.name, ""
        self.bar = tqdm(
            total=plan.length,
            initial=module.updates - plan.first,
            desc=f"{self.stage} ({plan.index + 1}/{len(module.plan.stages)})",
            unit=" updates",
            disable=not sys.stderr.isatty(),
            dynamic_ncols=True,
            smoothing=0.05,
        )

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Advance after every update."""
        assert isinstance(module, RimModule)
        if self.bar is not None and module.report is not None:
            self.bar.set_postfix_str(f"loss {module.report.loss:.3f}{self.accuracy}", refresh=False)
            self.bar.update()

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Show the validation accuracy."""
        assert isinstance(module, RimModule)
        if not trainer.is_global_zero or module.report is None:
            return
        share = self.curriculum.score.final
        self.accuracy = f", validation accuracy {share.value:.3f}"
        if not sys.stderr.isatty():
            plan = module.plan.at(module.updates - 1)
            validation = f"validation accuracy {share.correct}/{share.count} = {share.value:.3f}{self._by_source()}"
            self._say(
                f"{plan.stage.name}: update {module.updates - plan.first}/{plan.length}, "
                f"loss {module.report.loss:.4f}, {validation}"
            )

    def _say(self, line: str) -> None:
        """Print a line; where nobody reads it any more (`| head`), ask all processes to save and leave."""
        try:
            print(line, flush=True)
        except BrokenPipeError:
            self.curriculum.stop.received = True

    def _by_source(self) -> str:
        """What each validation set has right, where there are several."""
        rows = {source: [row.final for row in rows] for source, rows in self.curriculum.by_source.items()}
        return "".join(f", {source} {sum(marks)}/{len(marks)}" for source, marks in rows.items())

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        """Leave the terminal in order."""
        self.close()

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Close the last bar."""
        self.close()

    def close(self) -> None:
        """Close the bar, if one is open."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None
