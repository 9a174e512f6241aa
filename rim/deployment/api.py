"""The Python API, all of `rim.__all__` but nothing else: what a notebook needs.

config = rim.load_config(["conf/demo.yaml"], ["run.name=notebook"])
model = rim.load(rim.fit(config))
model.answer("Ann has the pin. Ann and Bob swap. Who has the pin?").answer
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rim.data.example import Example, Task
from rim.data.registry import register_task
from rim.deployment.model import Model, load
from rim.deployment.reply import Readout, Reply
from rim.runs.folder import RunFolder
from rim.settings import Config
from rim.settings.load import load as load_config
from rim.studies.comparison.conduct import compare_named
from rim.training.run import fit as _fit

__all__ = ["Example", "Model", "Readout", "Reply", "Task", "compare", "fit", "load", "load_config", "register_task"]


def fit(config: Config) -> Path:
    """Train and score a run, as `python -m rim.fit` does; a run that was interrupted goes on.

    Returns:
        The run folder, which `rim.load` takes.

    Raises:
        UserError: settings, data or a folder that cannot be used.
        SystemExit: SIGTERM arrived; the state is saved, and the program ends with status 143 as the command does.
    """
    if status := _fit(config):
        raise SystemExit(status)
    return Path(config.run.folder) / config.run.name


def compare(runs: Sequence[str | Path], out: str | Path | None = None, reference: str | None = None) -> dict[str, Any]:
    """Compare finished runs, as `python -m rim.compare` does.

    Args:
        runs: folders of the runs; those that differ only in name, folder and seed are seeds of one entry.
        out: folder of tables and figures; None: `comparison`, beside the runs.
        reference: entry that differences are against; None: the first.

    Returns:
        The content of `results.json`: scores with intervals, differences, latency, and where each number comes from.

    Raises:
        UserError: a folder is no finished run, or the runs do not compare.
    """
    folder = compare_named([Path(run) for run in runs], None if out is None else Path(out), reference)
    found: dict[str, Any] = RunFolder(folder).read("results.json")
    return found
