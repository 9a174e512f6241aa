"""Register a running worker of a sweep, so that others on its machine see at once when it is killed.

A command holds a file locked as long as it lives; the system lets go of the lock however the command ends. On other
machines the heartbeats of the study tell, after their grace.
"""

import fcntl
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOLDER = "workers"


@contextmanager
def registered(folder: Path) -> Iterator[str]:
    """The name of this command in a sweep's folder, held as long as the body takes."""
    name = f"{machine()}_{os.getpid()}_{uuid.uuid4().hex[:6]}"
    path = folder / FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield name
        finally:
            path.unlink(missing_ok=True)


def has_died(folder: Path, name: str) -> bool:
    """Whether a command of this machine was killed; False where that cannot be known here."""
    path = folder / FOLDER / name
    if name.split("_")[0] != machine() or not path.exists():
        return False
    with open(path, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def machine() -> str:
    """Name of this machine since it was started: a lock says nothing about a worker elsewhere."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    started = boot.read_text(encoding="ascii")[:8] if boot.exists() else ""
    return f"{socket.gethostname()}-{started}".replace("_", "-").replace("/", "-")
