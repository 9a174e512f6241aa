"""Build the Lightning Trainer of a run from its settings."""

import os
from pathlib import Path

import lightning.pytorch as pl

from rim.settings import Training
from rim.training.events import RunLogger
from rim.training.saving import AtomicCheckpointIO

PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed"}


def is_first_process() -> bool:
    """Whether this process writes files and prints; DDP starts the others with LOCAL_RANK set."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def make_trainer(
    training: Training, folder: Path, *, segments: int, updates: int, callbacks: list[pl.Callback]
) -> pl.Trainer:
    """A Trainer whose epochs are the segments that remain, and whose batches are updates.

    Args:
        folder: the run folder, to which TensorBoard events go.
        segments: stretches between validations that are still to be trained.
        updates: updates done; later events of an interrupted run are purged.
    """
    return pl.Trainer(
        accelerator=training.accelerator,
        devices=training.devices,
        strategy="ddp" if training.devices > 1 else "auto",
        precision=PRECISION[training.precision],  # type: ignore[arg-type]
        max_epochs=segments,
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        logger=RunLogger(folder, updates),
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
    )
