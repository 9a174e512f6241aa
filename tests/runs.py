"""Tiny runs on the tracking task that tests share: seconds each, every update on the curve, unequal stretches.

Grounding has 12 updates (validated after 5, 10 and 12), refinement 8 (after 5 and 8); every second one is saved, every
third one kept. An update has two passes, each of one or two lines of several examples.
"""

from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from rim.settings import Config
from rim.settings.load import load
from rim.training.logs import CURVE, read_curve

SWITCH, END = 12, 20
"""Updates done when grounding ends, and when the run ends."""

TINY = (
    "data.tracking.people=3", "data.tracking.max_steps=3", "data.tracking.train_rows=60", "data.tracking.test_rows=16",
    "data.validation_rows=16", "data.test_rows=8", "data.max_steps=3",
    "backbone.source=scratch", "backbone.training=full", "backbone.scratch.layers=2", "backbone.scratch.width=32",
    "backbone.scratch.heads=2", "backbone.scratch.positions=128", "backbone.scratch.vocabulary=300",
    "memory.blocks=3",
    "stages.0.duration=12 steps", "stages.0.learning_rate=1e-2", "stages.0.warmup=3 steps", "stages.0.dropout=0",
    "stages.1.duration=8 steps", "stages.1.learning_rate=5e-3", "stages.1.warmup=2 steps", "stages.1.dropout=0.1",
    "training.batch_size=8", "training.tokens_per_line=96", "training.tokens_per_pass=192",
    "training.validate_every=5 steps", "training.save_every=2 steps", "training.keep_every=3 steps",
    "training.log_every=1",
    "training.accelerator=cpu", "training.threads=1", "training.betas=[0.6, 0.8]",
    "evaluation.batch_size=8", "evaluation.max_new_tokens=4", "evaluation.controls=[removed]",
)  # fmt: skip


def overrides(folder: Path, *more: str) -> list[str]:
    """The settings of a tiny run as they stand on a command line; runs beside each other share encoded data."""
    return [*TINY, f"run.folder={folder}", f"data.cache={folder}/cache", *more]


def tiny(folder: Path, *more: str) -> Config:
    """The settings of a tiny run in `folder`/run."""
    return load([], overrides(folder, *more))


def curve(folder: Path) -> list[dict[str, Any]]:
    """The curve of a run, without what depends on the machine."""
    records = read_curve(folder / CURVE)
    return [{key: value for key, value in record.items() if key != "examples_per_second"} for record in records]


def weights(folder: Path, name: str) -> dict[str, Tensor]:
    """Trained weights that a run has kept."""
    return safetensors.torch.load_file(folder / "weights" / f"{name}.safetensors")
