"""One process trains a run: the lock on its log, held by whoever trains it, and by a child for as long as it lives.

The lock is advisory (`flock`) and goes with the process, however it ends.
"""

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from rim.base.errors import UserError

PATIENCE_SECONDS = 10.0
"""How long a repeated command waits: loader processes of a run that was killed notice it within five seconds."""
STEP_SECONDS = 0.2
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
STDOUT = 1


class RunBusy(UserError):
    """A run that another process is training."""


def log_of(folder: Path) -> Path:
    """Where a run's output goes where another process starts it; a resumed run adds to it."""
    return folder.with_name(f"{folder.name}.log")


@contextmanager
def locked(path: Path, patience: float = 0.0) -> Iterator[BinaryIO]:
    """A log, open at its end and locked; a child that inherits it keeps the lock.

    Args:
        patience: seconds to wait for another process that is about to end.

    Raises:
        RunBusy: another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as log:
        _lock(log.fileno(), path, patience)
        yield log


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else trains the run of this folder meanwhile.

    A child whose output goes to the log already holds it. A log that was made for its lock alone goes at the end.

    Raises:
        RunBusy: another process trains it.
    """
    path = log_of(folder)
    if _is_output(path):
        _lock(STDOUT, path, PATIENCE_SECONDS)
        yield
        return
    while True:
        with locked(path, PATIENCE_SECONDS) as log:
            if not _same(log.fileno(), path):  # the process that had it has removed it meanwhile
                continue
            try:
                yield
            finally:
                if os.fstat(log.fileno()).st_size == 0:
                    path.unlink(missing_ok=True)
            return


def _lock(descriptor: int, path: Path, patience: float) -> None:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= until:
                raise RunBusy(
                    f"{path.with_suffix('')} is being trained by another process (it holds {path}): wait until it has "
                    "finished, or stop it, then repeat the command; or choose another run.name"
                ) from None
            time.sleep(STEP_SECONDS)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            print(f"note          {path.parent} has no file locks: do not train a run twice at once", flush=True)
            return


def _is_output(path: Path) -> bool:
    return path.exists() and _same(STDOUT, path)


def _same(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one at a path."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False
