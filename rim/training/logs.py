"""Log a run while it trains: the curve as JSON lines, the same to all loggers, and predictions to TensorBoard."""

import json
import time
from pathlib import Path
from typing import Any

import lightning.pytorch as pl

from rim.base.files import write_bytes
from rim.evaluation.metrics import score as scored
from rim.evaluation.predictions import Prediction
from rim.report.tables import table
from rim.settings import Config
from rim.training.curriculum import Curriculum
from rim.training.events import Chart, lines, tensorboard
from rim.training.module import RimModule, UpdateReport

CURVE = "curve.jsonl"
SAMPLES = 5
"""Predictions of every validation source shown as text after a validation."""


class Curve:
    """`curve.jsonl`: one record per logged update or validation, in order; a resumed run drops what it repeats."""

    def __init__(self, path: Path, updates: int) -> None:
        self.path = path
        kept = [record for record in read_curve(path) if record["update"] <= updates]
        text = "".join(json.dumps(record) + "\n" for record in kept)
        write_bytes(path, text.encode())

    def add(self, record: dict[str, Any]) -> None:
        """Append a record."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")


def read_curve(path: Path) -> list[dict[str, Any]]:
    """The records of a curve; a line that a kill cut short is passed over."""
    records = []
    for line in path.read_text(encoding="utf-8").split("\n") if path.exists() else []:
        try:
            records.append(json.loads(line))
        except ValueError:
            continue
    return records


class Logbook(pl.Callback):
    """Writes the curve and the scalars of all loggers on the first process.

    `seconds` adds up the time spent in updates (validation and saving excluded), over all resumptions; `wait` the part
    of it in which the trainer waited for the loader. `longest` is the number of steps whose weights are drawn.
    """

    def __init__(self, config: Config, curriculum: Curriculum, folder: Path, longest: int) -> None:
        self.config, self.curriculum, self.folder, self.longest = config, curriculum, folder, longest
        self.seconds, self.wait, self.examples = 0.0, 0.0, 0
        self._since = (0.0, 0)
        self._clock = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Time and examples so far."""
        return {"seconds": self.seconds, "wait": self.wait, "examples": self.examples}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the counters up."""
        self.seconds, self.wait, self.examples = state_dict["seconds"], state_dict["wait"], state_dict["examples"]

    # ------------------------------------------------------------------ time

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Start the clock of a segment, and open the curve."""
        assert isinstance(module, RimModule)
        self.start_clock()
        self._since = (self.seconds, self.examples)
        if trainer.is_global_zero and not hasattr(self, "curve"):
            self.curve = Curve(self.folder / CURVE, module.updates)

    def start_clock(self, *_: Any) -> None:
        """Count time from now on."""
        self._clock = time.perf_counter()

    def on_train_batch_start(self, *_: Any) -> None:
        """The loader has delivered."""
        self.wait += time.perf_counter() - self._clock

    def on_train_batch_end(self, trainer: pl.Trainer, module: pl.LightningModule, *_: Any) -> None:
        """Log the update that has just ended."""
        assert isinstance(module, RimModule)
        self.seconds += time.perf_counter() - self._clock
        report = module.report
        assert report is not None  # a batch is an update
        self.examples += report.examples
        if trainer.is_global_zero and (report.update % self.config.training.log_every == 0 or report.update == 1):
            self._log_update(trainer, module, report)

    def _log_update(self, trainer: pl.Trainer, module: RimModule, report: UpdateReport) -> None:
        seconds, examples = self.seconds - self._since[0], self.examples - self._since[1]
        self._since = (self.seconds, self.examples)
        speed = examples / seconds if seconds else 0.0
        self.curve.add(
            {
                "update": report.update,
                "stage": report.stage,
                "loss": report.loss,
                "loss_by_readout": {str(k): v for k, v in report.loss_by_readout.items()},
                "learning_rate": report.learning_rate,
                "gradient_norm": report.gradient_norm,
                "examples_per_second": round(speed, 1),
            }
        )
        plan = module.plan.at(report.update - 1)
        weights = module.method.weights_at(plan.progress(report.update - 1 - plan.first), self.longest)
        scalars = {
            f"{report.stage}/training_loss": report.loss,
            **lines(Chart.LOSS_BY_READOUT, report.stage, {k: v for k, v in report.loss_by_readout.items() if k}),
            **lines(Chart.LOSS_WEIGHTS, report.stage, weights),
            "training/learning_rate": report.learning_rate,
            "training/gradient_norm": report.gradient_norm,
            "training/examples_per_second": speed,
        }
        _log(trainer, scalars, report.update)

    # ------------------------------------------------------------------ validation

    def on_validation_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        """Log validation accuracy, which the curriculum has merged at the end of the validation's epoch."""
        assert isinstance(module, RimModule)
        if not trainer.is_global_zero:
            return
        score, stage = self.curriculum.score, module.plan.at(module.updates - 1).stage.name
        by_block = [share.value for share in score.blocks]
        by_steps = {str(steps): share.value for steps, share in score.by_steps.items()}
        parts = self.curriculum.by_source
        by_source = {source: scored(rows).final.value for source, rows in parts.items()}
        self.curve.add(
            {
                "update": module.updates,
                "stage": stage,
                "accuracy": score.final.value,
                "accuracy_by_block": by_block,
                "accuracy_by_steps": by_steps,
                "examples": score.examples,
                **({"accuracy_by_source": by_source} if by_source else {}),
            }
        )
        scalars = {
            f"{stage}/validation_accuracy": score.final.value,
            **lines(Chart.ACCURACY_BY_BLOCK, stage, dict(enumerate(by_block, 1) if len(by_block) > 1 else ())),
            **lines(Chart.ACCURACY_BY_STEPS, stage, by_steps),
            **lines(Chart.ACCURACY_BY_SOURCE, stage, by_source),
        }
        _log(trainer, scalars, module.updates)
        samples = prediction_table(
            [row for rows in parts.values() or [self.curriculum.predictions] for row in rows[:SAMPLES]]
        )
        for events in tensorboard(trainer.loggers):
            events.experiment.add_text(f"{stage}/validation_predictions", samples, module.updates)


def prediction_table(predictions: list[Prediction]) -> str:
    """A few predictions as a Markdown table."""
    rows = [(row.question, row.gold, " · ".join(row.answers), "yes" if row.final else "no") for row in predictions]
    return table(rows, ("question", "true answer", "read after each block", "right at the end"))


def _log(trainer: pl.Trainer, scalars: dict[str, float], update: int) -> None:
    for logger in trainer.loggers:
        logger.log_metrics(scalars, update)
