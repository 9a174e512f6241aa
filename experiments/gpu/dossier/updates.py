"""Updates under the clock: those of a real run, through Lightning's trainer, from any point of its plan."""

import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import lightning.pytorch as pl
import torch

from rim.backbone.backbone import Backbone
from rim.base.tree import TreeBatch
from rim.data.prepare import Splits
from rim.evaluation.evaluator import Evaluator
from rim.evaluation.lengths import Lengths
from rim.methods.method import Method
from rim.settings import Config
from rim.training.datamodule import DataModule, Pass
from rim.training.dropout import use_dropout
from rim.training.module import RimModule, seed_noise
from rim.training.plan import Plan
from rim.training.trainer import PRECISION, make_trainer
from rim.training.trial import Trial

WARM_UP, MOST = 2, 40
"""Updates before the clock counts, and the most that are timed."""
REPEATS = 3


@dataclass(frozen=True)
class Subject:
    """What is trained: a model with its method, data and plan."""

    config: Config
    backbone: Backbone
    method: Method
    splits: Splits
    plan: Plan
    folder: Path


@dataclass
class Updates:
    """Seconds of each update, of them waiting for the loader, the most memory that was allocated, in bytes, and the
    passes of one of the updates, and of one that was not made, in main memory."""

    seconds: list[float] = field(default_factory=list)
    waiting: list[float] = field(default_factory=list)
    memory: int = 0
    passes: list[Pass] = field(default_factory=list)
    later: list[Pass] = field(default_factory=list)

    @property
    def each(self) -> float:
        """Seconds of an update, the median."""
        return median(self.seconds)


class _Enough(Exception):
    """As many updates as were wanted."""


class _Meter(pl.Callback):
    """Times updates and ends the run after enough of them; it sets the stage's mode and dropout, as a run does."""

    def __init__(self, found: Updates, least: int, seconds: float) -> None:
        self.found, self.least, self.seconds = found, least, seconds
        self.done, self.wait = 0, 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, RimModule)
        module.backbone.train()
        use_dropout(module.backbone, module.config, module.plan, module.stage.index)
        self.clock = self.since = time.perf_counter()

    def on_train_batch_start(self, *_: Any) -> None:
        self.wait += time.perf_counter() - self.since

    def on_train_batch_end(self, *_: Any) -> None:
        self.since = now = time.perf_counter()
        self.done += 1
        if self.done == WARM_UP:
            _reset_memory()
        elif self.done > WARM_UP:
            self.found.seconds.append(now - self.clock)
            self.found.waiting.append(self.wait)
        self.clock, self.wait = now, 0.0
        count = len(self.found.seconds)
        if count >= self.least and (sum(self.found.seconds) >= self.seconds or count >= MOST):
            raise _Enough


def timed_updates(subject: Subject, update: int, least: int, seconds: float) -> Updates:
    """Train from an update of the plan on, until enough has been seen; the weights change.

    Args:
        update: of the run, 0-based.
        least: updates that are timed at least.
        seconds: that they take at least.
    """
    found = Updates()
    module = _module(subject, update)
    trainer = make_trainer(
        subject.config.training,
        subject.folder,
        segments=1,
        loggers=[],
        callbacks=[_Meter(found, least, seconds)],
    )
    module.cpu = lambda: module  # type: ignore[method-assign]  # a trainer that ends carries its model away
    data = _data(subject, module)
    with suppress(_Enough):
        trainer.fit(module, data)
    found.memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    stage = subject.plan.at(update)
    inside = update - stage.first
    for into, first in ((found.passes, inside), (found.later, min(inside + 2 * MOST, stage.length - 1))):
        place = next(data.places(stage.index, range(first, stage.length), 0, 1))
        into += data.lay_out(stage, data.tokens_per_pass(stage), place).passes
    return found


def _module(subject: Subject, update: int) -> RimModule:
    lengths = Lengths.of(subject.method, (split for _, split in subject.splits.named()))
    evaluator = Evaluator(subject.method, subject.backbone.tokenizer, lengths.as_set(subject.config.evaluation))
    of = (subject.backbone, subject.method, subject.plan, subject.config, evaluator, subject.splits.validation)
    module = RimModule(*of)
    module.updates = update
    return module


def _data(subject: Subject, module: RimModule) -> DataModule:
    pad = subject.backbone.special.pad
    of = (subject.splits, subject.config, subject.method.layout, subject.plan)
    return DataModule(*of, lambda: module.updates, pad, Trial(module))


@dataclass(frozen=True)
class Issued:
    """Milliseconds of a pass forward and backward: until all of it has been asked for, and until it is done.

    `first` is the latter at the first time, in a shape that has not been seen before.
    """

    asked: float
    done: float
    first: float


def issued(subject: Subject, part: Pass) -> Issued:
    """How long the program takes to ask for a pass, beside how long the device takes to do it."""
    trees = part.trees.to(subject.backbone.device)
    subject.backbone.train()
    found = [_issued_once(subject, trees) for _ in range(1 + REPEATS)]
    asked, done = (median(part) for part in zip(*found[1:], strict=True))
    return Issued(asked, done, found[0][1])


def _issued_once(subject: Subject, trees: TreeBatch) -> tuple[float, float]:
    _wait()
    begin = time.perf_counter()
    gradient(subject, trees)
    asked = time.perf_counter() - begin
    _wait()
    return 1e3 * asked, 1e3 * (time.perf_counter() - begin)


def gradient(subject: Subject, trees: TreeBatch) -> None:
    """A pass forward and backward, whose gradients are dropped."""
    half = PRECISION[subject.config.training.precision] == "bf16-mixed"
    seed_noise(subject.backbone.device, 0)
    with torch.autocast(subject.backbone.device.type, dtype=torch.bfloat16, enabled=half):
        total = subject.method.losses(subject.backbone, trees).total
    total.backward()
    subject.backbone.zero_grad()


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _reset_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
