"""Who trains a run: a small file beside the run folder, which names the process and its machine.

The lock itself (`lock.py`) goes with the process. The file tells a second process whom to look for, and guards the run
where locks do not reach: between machines, and on file systems without locks.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from rim.base.errors import UserError
from rim.base.files import write_json


class RunBusy(UserError):
    """A run that another process is training."""


@dataclass(frozen=True)
class Holder:
    """A process that trains a run: its id, its machine, the job of SLURM with its restarts, and since when."""

    pid: int
    host: str
    job: str
    since: str

    @classmethod
    def here(cls) -> "Holder":
        """This process."""
        job = f"{os.environ.get('SLURM_JOB_ID', '')}/{os.environ.get('SLURM_RESTART_COUNT', '0')}"
        return cls(os.getpid(), socket.gethostname(), job, datetime.now().isoformat(" ", "seconds"))

    @property
    def alive_here(self) -> bool:
        """Whether a process of this machine has the id."""
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # another user's
        return True

    def requeued_as(self, other: "Holder") -> bool:
        """Whether SLURM has ended this one's job and started it again, perhaps on other machines."""
        job, other_job = self.job.partition("/"), other.job.partition("/")
        return bool(job[0]) and job[0] == other_job[0] and job[2] != other_job[2]


def file_of(folder: Path) -> Path:
    """Where a run's holder is named."""
    return folder.with_name(f".{folder.name}.lock")


def holder_of(folder: Path) -> Holder | None:
    """Who trains a run, or did when it was killed; None: nobody, or the file cannot be read."""
    try:
        return Holder(**json.loads(file_of(folder).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


@contextmanager
def named(folder: Path, locked: bool) -> Iterator[None]:
    """This process is the run's holder as long as the body takes; what a killed one has left is taken over.

    Args:
        locked: whether a lock of this machine has told that no other process here has the run.

    Raises:
        RunBusy: a process of this machine that is alive has it, where no lock tells; or one of another machine.
        SaveError: the file cannot be written.
    """
    me, left, file = Holder.here(), holder_of(folder), file_of(folder)
    if left is not None and left.host == me.host and not locked and left.pid != me.pid and left.alive_here:
        raise RunBusy(busy(folder, left))
    if left is not None and left.host != me.host and not left.requeued_as(me):
        raise RunBusy(
            f"{busy(folder, left)}. Whether it is still at work cannot be told from {me.host}: if it was killed or its "
            f"machine is gone, remove {file}"
        )
    write_json(file, asdict(me))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def busy(folder: Path, holder: Holder | None) -> str:
    """The refusal of a second process."""
    who = f"process {holder.pid} on {holder.host} (since {holder.since})" if holder else "another process"
    return (
        f"{folder} is being trained by {who}: wait until it has finished, or stop it, then repeat the command; or "
        "choose another run.name"
    )
