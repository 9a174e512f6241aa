"""What a run ran on: versions, commit, hardware; and how many CPU threads it takes."""

import os
import platform
import subprocess
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import rim

PACKAGES = ("torch", "lightning", "transformers", "peft", "datasets", "omegaconf", "tokenizers", "numpy")
_SOURCE = Path(rim.__file__).resolve().parent
_OMP = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()  # as the user set it: Lightning writes it, too


def describe() -> dict[str, Any]:
    """Versions, commit and hardware as plain containers, for the run folder and for reports."""
    return {"versions": versions(), "git": commit(), "hardware": hardware()}


def versions() -> dict[str, str]:
    """Version of Python, of RiM and of each library."""
    return {"python": platform.python_version(), "rim": rim.__version__} | {name: version(name) for name in PACKAGES}


def commit(source: Path = _SOURCE) -> dict[str, Any] | None:
    """Commit of the checkout that the package runs from, and whether `rim` or `conf` differ from it.

    None outside git. An installed copy that lies inside a foreign repository is not tracked there: None, too.
    """
    if _git(source, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    root, head = _git(source, "rev-parse", "--show-toplevel"), _git(source, "rev-parse", "HEAD")
    if root is None or head is None:
        return None
    return {"commit": head, "dirty": bool(_git(Path(root), "status", "--porcelain", "--", source.name, "conf"))}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def hardware() -> dict[str, Any]:
    """CPU model, usable cores, memory in GiB, names of GPUs."""
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {"cpu": _cpu_model(), "cores": usable_cores(), "memory_gib": round(memory / 2**30, 1), "gpus": gpus}


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def usable_cores() -> int:
    """Cores that this process may use: its affinity, or less by the CPU quota of its control group; at least 1."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    return max(1, cores if quota is None else min(cores, int(quota)))


def cpu_quota(root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float | None:
    """CPUs' worth of time that control groups grant (version 2, then 1); None: no limit.

    A quota of any group above the process's own binds as well, so the least of them counts.
    """
    try:
        paths = {entry.split(":", 2)[1]: entry.split(":", 2)[2] for entry in own.read_text().splitlines()}
    except (OSError, IndexError):
        paths = {}
    below = Path(paths.get("", "/").lstrip("/"))
    groups = [root, *(root / part for part in (below, *below.parents))]
    granted = [_quota(group / "cpu.max", None) for group in groups]
    granted.append(_quota(root / "cpu" / "cpu.cfs_quota_us", root / "cpu" / "cpu.cfs_period_us"))
    return min((quota for quota in granted if quota is not None), default=None)


def _quota(quota: Path, period: Path | None) -> float | None:
    """Quota / period, both in microseconds, of one group: in one file (`max` or -1: no limit) or in two."""
    try:
        words = quota.read_text().split() + (period.read_text().split() if period else [])
        return int(words[0]) / int(words[1]) if words[0] not in ("max", "-1") else None
    except (OSError, ValueError, IndexError, ZeroDivisionError):
        return None


def use_threads(threads: int | None, processes: int = 1) -> int:
    """Set the CPU threads of torch in this process.

    Args:
        threads: threads; None: `OMP_NUM_THREADS` where it is set, else usable cores / processes, at least 1.
        processes: training processes on this machine.

    Returns:
        Threads now in force. More of them than free cores cost a factor of 20 on small matrix products.
    """
    import torch

    asked = int(_OMP) if _OMP.isdecimal() else usable_cores() // processes
    torch.set_num_threads(threads if threads is not None else max(1, asked))
    with suppress(RuntimeError):  # it can be set once, before parallel work; eager models do not use these threads
        torch.set_num_interop_threads(1)
    return torch.get_num_threads()
