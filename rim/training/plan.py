"""Converts the curriculum to updates: which update belongs to which stage, and when to validate, save and keep.

The number of updates done is the whole position of a run. Stage, learning rate, loss weights, order of examples and
dropout noise are functions of it, so a run that is resumed at any update lands on the uninterrupted curve.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from rim.settings import Stage, Training
from rim.settings.duration import updates
from rim.settings.progress import Progress


@dataclass(frozen=True)
class StagePlan:
    """A stage in updates: it runs from `first` (inclusive) to `last` (exclusive) of the whole run.

    An epoch has `epoch` updates, a fraction where batches do not divide the rows. Every `keep_every` updates a
    checkpoint is kept; None: the best and the last alone.
    """

    index: int
    stage: Stage
    first: int
    length: int
    warmup: int
    validate_every: int
    save_every: int
    epoch: float
    keep_every: int | None = None

    @property
    def last(self) -> int:
        """Number of updates done when the stage ends."""
        return self.first + self.length

    def learning_rate(self, update: int) -> float:
        """Rate of the stage's update `update` (0-based): linear warm-up, then constant, cosine or linear to zero."""
        peak, schedule = self.stage.learning_rate, self.stage.schedule
        if update < self.warmup:
            return peak * (update + 1) / self.warmup
        done = (update - self.warmup) / max(1, self.length - self.warmup)
        return peak * {"constant": 1.0, "linear": 1 - done, "cosine": (1 + math.cos(math.pi * done)) / 2}[schedule]

    def segment(self, update: int) -> range:
        """Updates of the stage from `update` (of the run) to the next validation, or to the stage's end."""
        inside = update - self.first
        stop = min(self.length, (inside // self.validate_every + 1) * self.validate_every)
        return range(inside, stop)

    def keeps(self, updates: int) -> bool:
        """Whether a checkpoint is kept when so many updates of the run are done; the last of the stage is anyway."""
        inside = updates - self.first
        return self.keep_every is not None and 0 < inside < self.length and inside % self.keep_every == 0

    def progress(self, update: int) -> Progress:
        """Where training stands at the stage's update `update` (0-based)."""
        return Progress(self.stage, update, self.length, update / self.epoch)


@dataclass(frozen=True)
class Plan:
    """All stages of a run, in order."""

    stages: tuple[StagePlan, ...]

    @property
    def length(self) -> int:
        """Updates of the whole run."""
        return self.stages[-1].last

    def at(self, update: int) -> StagePlan:
        """The stage that update number `update` (0-based) belongs to; past the end: the last stage."""
        return next((stage for stage in self.stages if update < stage.last), self.stages[-1])

    def dropout(self, index: int) -> float | None:
        """Dropout in force in a stage: its own, or that of the last stage before it that set one."""
        rates = [plan.stage.dropout for plan in self.stages[: index + 1] if plan.stage.dropout is not None]
        return rates[-1] if rates else None

    def segments(self, start: int) -> int:
        """Number of segments that remain after `start` updates."""
        count = 0
        while start < self.length:
            stage = self.at(start)
            start = stage.first + stage.segment(start).stop
            count += 1
        return count


def make_plan(stages: Sequence[Stage], training: Training, rows: int) -> Plan:
    """Convert the durations of a configuration to updates, where an epoch has so many rows."""
    size = {"batch_size": training.batch_size, "rows": rows}
    whole = updates(training.duration, **size) if training.duration else None
    plans: list[StagePlan] = []
    for index, stage in enumerate(stages):
        length = max(1, updates(stage.duration, **size, whole=whole))
        first = plans[-1].last if plans else 0
        parts = [updates(part, **size, whole=length) for part in (training.validate_every, training.save_every)]
        kept = None if training.keep_every is None else max(1, updates(training.keep_every, **size, whole=length))
        warmup = updates(stage.warmup, **size, whole=length)
        distances = (max(1, parts[0]), max(1, parts[1]))
        plans.append(StagePlan(index, stage, first, length, warmup, *distances, rows / training.batch_size, kept))
    return Plan(tuple(plans))
