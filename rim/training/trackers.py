"""The loggers of a run by name: TensorBoard, CSV, Weights & Biases and MLflow, each through Lightning's own class.

All are given the same scalars; figures and texts go to TensorBoard alone. Where the services are, their own variables
say: WANDB_MODE, WANDB_PROJECT and WANDB_ENTITY, MLFLOW_TRACKING_URI and MLFLOW_EXPERIMENT_NAME.
"""

import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, WandbLogger

from rim.base.errors import UserError
from rim.base.files import write_json
from rim.runs.folder import RunFolder
from rim.settings import Config
from rim.settings.load import flat
from rim.settings.training import LOGGERS
from rim.training.events import RunLogger

SERVICES = ("wandb", "mlflow")
"""Loggers with a package of the same name, which keep runs under ids of their own."""
IDS = "trackers.json"
"""File in the run folder with those ids, under which a run goes on that is resumed."""
PROJECT = "rim"


class LoggerError(UserError):
    """A logger whose package is not installed."""


def require_loggers(names: Sequence[str]) -> None:
    """Refuse loggers that cannot be opened here.

    Raises:
        LoggerError: a package is missing; says how to install it.
    """
    for name in names:
        if name in SERVICES and find_spec(name) is None:
            others = ", ".join(each for each in LOGGERS if each != name)
            raise LoggerError(
                f"training.loggers names {name}, whose package is not installed: pip install 'rim[{name}]', or leave "
                f"it out; others are {others}"
            )


@contextmanager
def open_loggers(config: Config, folder: RunFolder, updates: int | None = None) -> Iterator[list[Logger]]:
    """The loggers that the settings name, for the first process; those of services are given the settings once.

    Args:
        updates: updates done; what an interrupted run has logged later is dropped where a logger can. None: what is
            there stays.
    """
    ids = {} if updates == 0 else folder.read(IDS) or {}  # before the first update settings may change
    loggers = {name: OPEN[name](config, folder.path, updates, ids.get(name)) for name in config.training.loggers}
    try:
        for name in SERVICES:
            if name in loggers and name not in ids:
                loggers[name].log_hyperparams(flat_settings(config))
                ids[name] = loggers[name].version
                write_json(folder.path / IDS, ids)
        yield [*loggers.values()]
    finally:
        if "wandb" in loggers:
            loggers["wandb"].experiment.finish()  # type: ignore[attr-defined]  # the next run would go on in this one


def flat_settings(config: Config) -> dict[str, Any]:
    """All settings as one level of dotted names; lists of plain values as text."""
    plain = {re.sub(r"\[(\d+)\]", r".\1", path): value for path, value in flat(config).items()}
    return {path: value if isinstance(value, int | float | str) else json.dumps(value) for path, value in plain.items()}


class TableLogger(CSVLogger):
    """Writes `csv/metrics.csv`, a row for each logged update or validation, as it comes.

    Lightning's class begins its file anew; here a resumed run keeps its rows.

    Args:
        folder: the run folder.
        updates: updates done; later rows are dropped. None: all stay.
    """

    def __init__(self, folder: Path, updates: int | None = None) -> None:
        super().__init__(folder, name="", version="csv", flush_logs_every_n_steps=1)
        file = Path(self.log_dir) / "metrics.csv"
        rows = _rows(file)
        file.unlink(missing_ok=True)  # Lightning would warn that it does
        self.experiment.metrics = [row for row in rows if updates is None or int(row["step"]) <= updates]
        self.save()


def _rows(file: Path) -> list[dict[str, Any]]:
    if not file.exists():
        return []
    whole = file.read_text(encoding="utf-8").rpartition("\n")[0]  # a full disk may have cut the last one
    return list(csv.DictReader(whole.splitlines()))


def _open_wandb(config: Config, folder: Path, _: int | None, run: str | None) -> Logger:
    project = os.environ.get("WANDB_PROJECT", PROJECT)
    return WandbLogger(name=config.run.name, save_dir=folder, id=run, project=project)


def _open_mlflow(config: Config, folder: Path, _: int | None, run: str | None) -> Logger:
    """On a server, or in one database beside the runs, so that they can be compared."""
    database = f"sqlite:///{Path(config.run.folder).resolve() / 'mlflow.db'}"
    return MLFlowLogger(
        experiment_name=os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT),
        run_name=config.run.name,
        tracking_uri=os.environ.get("MLFLOW_TRACKING_URI", database),
        run_id=run,
    )


OPEN: dict[str, Callable[[Config, Path, int | None, str | None], Logger]] = {
    "tensorboard": lambda _, folder, updates, __: RunLogger(folder, updates),
    "csv": lambda _, folder, updates, __: TableLogger(folder, updates),
    "wandb": _open_wandb,
    "mlflow": _open_mlflow,
}
"""By name: of the settings, the run folder, the updates done, and the service's id of the run."""
