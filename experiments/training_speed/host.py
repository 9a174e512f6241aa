"""Time of an update outside its forward and backward passes, in a real run with loader workers and a tiny model."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import numpy as np

from rim.settings.load import load
from rim.training.datamodule import DataModule
from rim.training.module import RimModule
from rim.training.run import prepare_run
from rim.training.trainer import make_trainer

DEMO = Path(__file__).parents[2] / "conf" / "demo.yaml"
WARM_UP = 5
"""Updates before the clock counts, among them the start of the workers."""


class _Enough(Exception):
    """As many updates as were wanted."""


class _Clock(pl.Callback):
    """Milliseconds of updates outside of calls that are `inside`, by the clock and of this thread's work."""

    def __init__(self, updates: int) -> None:
        self.updates, self.within, self.since = updates, np.zeros(2), _now()
        self.found: list[np.ndarray] = []

    def inside(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """The call, whose time does not count."""

        def timed(*args: Any, **named: Any) -> Any:
            start = _now()
            try:
                return call(*args, **named)
            finally:
                self.within += _now() - start

        return timed

    def on_train_batch_end(self, *_: Any) -> None:
        now = _now()
        self.found.append(1e3 * (now - self.since - self.within))
        self.since, self.within = now, np.zeros(2)
        if len(self.found) == WARM_UP + self.updates:
            raise _Enough


def _now() -> np.ndarray:
    """Seconds by the clock, and of work of this thread."""
    return np.array([time.perf_counter(), time.thread_time()])


def host_milliseconds(folder: Path, objective: int, batch: int, updates: int) -> tuple[float, float]:
    """Of an update, the median by the clock, and of this thread's work, which other programs do not slow down.

    Counted are drawing, waiting for the loader, moving, dividing, clipping, AdamW and Lightning's loop.

    Args:
        folder: of the run.
        objective: number of the stage, 0 grounding, 1 refinement.
        batch: examples of an update.
    """
    size = ("layers=1", "width=16", "heads=1", "vocabulary=300")
    steps = [f"stages.{stage}.duration={WARM_UP + updates + 5} steps" for stage in range(2)]
    run = [f"run.folder={folder}", f"run.name=host{objective}", f"data.cache={folder}/cache", "data.workers=2"]
    training = [
        f"training.batch_size={batch}",
        "training.validate_every=100%",
        "training.threads=1",
        "training.devices=1",
    ]
    rows = ["data.tracking.train_rows=2000", "data.tracking.test_rows=32", "data.validation_rows=32"]
    shape = [f"backbone.scratch.{each}" for each in size]
    prepared = prepare_run(load([DEMO], [*run, *rows, *shape, *steps, *training, "training.accelerator=cpu"]))
    first = prepared.plan.stages[objective].first
    of = (prepared.backbone, prepared.method, prepared.plan, prepared.config, prepared.evaluator)
    module, clock = RimModule(*of, prepared.splits.validation), _Clock(updates)
    module.updates = first
    prepared.method.losses = clock.inside(prepared.method.losses)  # type: ignore[method-assign]
    module.manual_backward = clock.inside(module.manual_backward)  # type: ignore[method-assign]
    trainer: pl.Trainer = make_trainer(
        prepared.config.training, prepared.folder.path, segments=1, loggers=[], callbacks=[clock]
    )
    data = DataModule(
        prepared.splits, prepared.config, prepared.method.layout, prepared.plan, lambda: module.updates, 0
    )
    with suppress(_Enough):
        trainer.fit(module, data)
    wall, work = np.median(clock.found[WARM_UP:], axis=0).tolist()
    return wall, work
