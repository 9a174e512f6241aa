"""The devices and cores of this machine, shared out among runs side by side: each has GPUs of its own, or its cores.

More threads than cores cost a factor of 20 on small matrix products, so cores are also shared with other commands of
the same user that start runs here: each holds a file locked, which says how many processes it has at work.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rim.runs.environment import usable_cores
from rim.runs.world import without_place
from rim.settings import Training

VISIBLE, THREADS = "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS"


@dataclass(frozen=True)
class Share:
    """What one run has: GPUs, named as `CUDA_VISIBLE_DEVICES` names them (none: the CPU), and threads a process."""

    gpus: tuple[str, ...]
    threads: int

    def environment(self) -> dict[str, str]:
        """For the run's process, which is none of the processes that a launcher has started here."""
        own = {THREADS: str(self.threads)} | ({VISIBLE: ",".join(self.gpus)} if self.gpus else {})
        return without_place(os.environ) | own


def gpus(trainings: Sequence[Training]) -> list[str]:
    """The GPUs that runs with these settings may use; none where all of them train on the CPU."""
    import torch

    if all(training.accelerator not in ("auto", "gpu") for training in trainings):
        return []
    count = torch.cuda.device_count()
    named = [name for name in os.environ.get(VISIBLE, "").split(",") if name]
    return (named or [str(number) for number in range(count)])[:count]


class Machine:
    """Shares of this machine for `jobs` runs side by side.

    Args:
        jobs: None: as many as there are devices, one where runs train on the CPU.
        trainings: the settings of the runs; all get as many devices as the one that needs most.
    """

    def __init__(self, jobs: int | None, trainings: Sequence[Training]) -> None:
        self.gpus, self.each = gpus(trainings), max(training.devices for training in trainings)
        self.jobs = jobs or max(1, len(self.gpus) // self.each)

    def share(self, place: int) -> Share:
        """What the run at a place, 0 to `jobs` - 1, has now; places beyond the GPUs take turns on them."""
        groups = max(1, len(self.gpus) // self.each)
        first = place % groups * self.each
        given = os.environ.get(THREADS, "").split(",")[0].strip()
        fair = max(1, usable_cores() // sum(_at_work(self.jobs * self.each)))
        threads = min(fair, int(given)) if given.isdecimal() else fair
        return Share(tuple(self.gpus[first : first + self.each]), threads)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let other commands of this user know, as long as the body takes, that runs share the cores."""
        path = _folder() / str(os.getpid())
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(str(self.jobs * self.each))
            file.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"rim-{os.getuid()}-at-work"


def _at_work(own: int) -> Iterator[int]:
    """Processes of this command, and of each other one that is alive; what a killed one left is removed."""
    yield own
    for path in _folder().glob("*"):
        if path.name == str(os.getpid()):
            continue
        with suppress(FileNotFoundError), open(path, "rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
            except BlockingIOError:
                told = file.read()
                yield int(told) if told.isdigit() else 1
