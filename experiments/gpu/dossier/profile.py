"""Where the time of a pass goes: the operations that keep the device and the program busy longest."""

from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from dossier.updates import Subject, gradient
from rim.report.tables import table
from rim.training.datamodule import Pass

ROWS = 12
"""Operations in the table."""


def profiled(subject: Subject, part: Pass) -> str:
    """A table of the operations of a pass, forward and backward, that take the device (or the CPU) longest."""
    on_device = torch.cuda.is_available()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_device else [])]
    trees = part.trees.to(subject.backbone.device)
    gradient(subject, trees)
    with profile(activities=activities) as found:
        gradient(subject, trees)
        if on_device:
            torch.cuda.synchronize()
    own = "self_device_time_total" if on_device else "self_cpu_time_total"
    events: list[Any] = sorted(found.key_averages(), key=lambda event: -getattr(event, own))
    rows = [(_short(event.key), event.count, f"{getattr(event, own) / 1e3:.2f}") for event in events[:ROWS]]
    whole = sum(getattr(event, own) for event in events) / 1e3
    calls = sum(event.count for event in events if event.key == "cudaLaunchKernel")
    return table([*rows, ("all of them", calls or "", f"{whole:.2f}")], ("operation", "calls", "ms"))


def _short(name: str) -> str:
    """A kernel's name without its template arguments."""
    return name.split("<")[0].replace("void ", "").replace("|", "/")[:60]
