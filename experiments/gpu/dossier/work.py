"""A step's process, seen from inside."""

import importlib
import os
import subprocess
from multiprocessing.connection import Connection
from typing import Any

from dossier.report import Report, Task
from rim.base.quiet import quiet_libraries
from rim.runs.environment import describe

LOOK = "look"
"""The step before all others, which only looks at what there is."""


def work(task: Task, connection: Connection) -> None:
    """Do what is open in a step; everything that is printed goes to the step's log."""
    os.setpgid(0, 0)  # all that it starts is killed with it
    log = os.open(log_of(task), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if task.cpu:
        import torch  # here, because the process that keeps the record would wait for it

        torch.set_num_threads(1)
    quiet_libraries()
    report = Report(task, connection.send)
    if task.step == LOOK:
        report.about(about(task))
        return
    importlib.import_module(f"dossier.steps.{task.step}").run(report)


def log_of(task: Task) -> str:
    """File that the step's process writes to."""
    return str(task.work / f"{task.step}.log")


def about(task: Task) -> dict[str, Any]:
    """Device, versions, commit and hardware.

    Raises:
        RuntimeError: torch cannot use a GPU, and the task is no dry run.
    """
    import torch

    facts = describe()
    facts |= {"torch": torch.__version__, "cuda": torch.version.cuda, "threads": torch.get_num_threads()}
    if facts["git"] is not None:
        facts |= facts["git"]
    if task.cpu:
        return facts | {"device": facts["hardware"]["cpu"]}
    torch.ones(1, device="cuda").add_(1).item()
    properties = torch.cuda.get_device_properties(0)
    asked = "driver_version,clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem,power.limit,temperature.gpu"
    state = _asked_of_driver(asked)
    return facts | {
        "device": properties.name,
        "device_memory_gib": round(properties.total_memory / 2**30, 1),
        "multiprocessors": properties.multi_processor_count,
        "driver": state.get("driver_version", "?"),
        "state": state,
    }


def _asked_of_driver(names: str) -> dict[str, str]:
    """What the driver says of the card; nothing where its tool is missing."""
    line = ["nvidia-smi", f"--query-gpu={names}", "--format=csv,noheader"]
    try:
        done = subprocess.run(line, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(names.split(","), done.stdout.splitlines()[0].split(", "), strict=False))
