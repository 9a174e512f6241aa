"""Build the Lightning Trainer of a run from its settings."""

import os
from collections.abc import Sequence
from pathlib import Path

import lightning.pytorch as pl
from lightning.fabric.plugins.environments import (
    ClusterEnvironment,
    LightningEnvironment,
    SLURMEnvironment,
    TorchElasticEnvironment,
)
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import Strategy

from rim.runs.world import find_world
from rim.settings import Training
from rim.training.saving import AtomicCheckpointIO
from rim.training.sharded import ShardedStrategy

PRECISION = {"fp32": "32-true", "bf16": "bf16-mixed"}


def make_trainer(
    training: Training, folder: Path, *, segments: int, loggers: Sequence[Logger], callbacks: list[pl.Callback]
) -> pl.Trainer:
    """A Trainer whose epochs are the segments that remain, and whose batches are updates.

    Args:
        folder: the run folder.
        segments: stretches between validations that are still to be trained.
        loggers: of the first process; the others have none.
    """
    return pl.Trainer(
        accelerator=training.accelerator,
        num_nodes=training.nodes,
        devices=training.devices,
        strategy=_strategy(training),
        precision=PRECISION[training.precision],  # type: ignore[arg-type]
        max_epochs=segments,
        limit_train_batches=None if segments else 0,  # where weights are shared out to be scored
        reload_dataloaders_every_n_epochs=1,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,  # `StageProgress` is one
        inference_mode=not training.sharded,  # gathered weights are used in training again
        enable_model_summary=False,
        logger=loggers,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO(), cluster(training)],
        default_root_dir=folder,
    )


def _strategy(training: Training) -> str | Strategy:
    if training.processes == 1:
        return "auto"
    return ShardedStrategy() if training.sharded else "ddp"


def cluster(training: Training) -> ClusterEnvironment:
    """What tells Lightning of the processes, the same that `find_world` has found; its own choice knows no single task
    of SLURM that starts processes itself."""
    launcher = find_world(training).launcher
    if launcher == "torchrun":
        return TorchElasticEnvironment()
    if launcher == "own":
        return LightningEnvironment()
    os.environ.setdefault("SLURM_NTASKS_PER_NODE", str(training.devices))  # set for --ntasks-per-node alone
    return SLURMEnvironment(auto_requeue=False)  # a job that is asked to stop saves by itself
