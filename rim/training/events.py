"""Write a run's TensorBoard events: where they lie, their tags, and charts with a line per block, steps or readout."""

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

OLD_FOLDER = "tensorboard"
"""Where events lay in the folders of older runs."""


class Chart(StrEnum):
    """Quantities that have a line for each of several things.

    Each is a group of its own in TensorBoard's list of scalars, below those of the stages.
    """

    ACCURACY_BY_BLOCK = "validation_accuracy_by_block"
    ACCURACY_BY_STEPS = "validation_accuracy_by_steps"
    ACCURACY_BY_SOURCE = "validation_accuracy_by_source"
    LOSS_BY_READOUT = "training_loss_by_readout"
    LOSS_WEIGHTS = "training_loss_weights"


TITLES = {
    Chart.ACCURACY_BY_BLOCK: "validation accuracy by block",
    Chart.ACCURACY_BY_STEPS: "validation accuracy by number of steps",
    Chart.ACCURACY_BY_SOURCE: "validation accuracy by source",
    Chart.LOSS_BY_READOUT: "training loss by readout",
    Chart.LOSS_WEIGHTS: "weights of the training loss",
}


class RunLogger(TensorBoardLogger):
    """Writes events into the run folder itself, so that TensorBoard calls the run by its name.

    A run that began with its events in `tensorboard/` goes on there: what is repeated is purged within one folder.

    Args:
        folder: the run folder.
        updates: updates done; later events of an interrupted run are purged. None: what is there stays.
    """

    def __init__(self, folder: Path, updates: int | None = None) -> None:
        version = OLD_FOLDER if (folder / OLD_FOLDER).is_dir() else ""
        # before the first update everything is repeated, the figures of step 0, too
        purge = None if updates is None else updates + 1 if updates else 0
        super().__init__(folder, name="", version=version, default_hp_metric=False, purge_step=purge)

    @rank_zero_only
    def save(self) -> None:
        """Flush; the settings lie beside the events in `config.yaml`, and need no `hparams.yaml`."""
        self.experiment.flush()


def tensorboard(loggers: Iterable[Logger]) -> list[RunLogger]:
    """Those among the loggers that take figures and texts, too."""
    return [logger for logger in loggers if isinstance(logger, RunLogger)]


def lines(quantity: Chart, stage: str, values: Mapping[str, float] | Mapping[int, float]) -> dict[str, float]:
    """The scalars of one chart, by tag; `values` by what its lines stand for."""
    return {f"{quantity}/{stage}/{key}": value for key, value in values.items()}


def add_charts(logger: RunLogger, quantities: Mapping[str, Iterable[Chart]]) -> None:
    """Draw the quantities of every stage, by its name, as charts of several lines (tab "Custom Scalars")."""
    chart = lambda quantity, stage: ["Multiline", [f"^{quantity}/{re.escape(stage)}/"]]  # noqa: E731
    layout = {stage: {TITLES[name]: chart(name, stage) for name in names} for stage, names in quantities.items()}
    logger.experiment.add_custom_scalars(layout)
