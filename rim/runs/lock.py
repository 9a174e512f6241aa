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

from rim.base.files import SaveError, refused
from rim.runs.holder import RunBusy, busy, holder_of, named

PATIENCE_SECONDS = 10.0
"""How long a repeated command waits: loader processes of a run that was killed notice it within five seconds."""
STEP_SECONDS = 0.2
NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
STDOUT = 1


def log_of(folder: Path) -> Path:
    """Where a run's output goes where another process starts it; a resumed run adds to it."""
    return folder.with_name(f"{folder.name}.log")


@contextmanager
def locked(path: Path) -> Iterator[BinaryIO]:
    """A log, open at its end and locked; a child that inherits it keeps the lock.

    Raises:
        RunBusy: another process has it.
        SaveError: the log cannot be written.
    """
    with _opened(path) as log:
        _lock(log.fileno(), path, 0.0)
        yield log


def _opened(path: Path) -> BinaryIO:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "ab")
    except OSError as error:
        raise SaveError(refused(path, error)) from error


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else trains the run of this folder meanwhile.

    A child whose output goes to the log already holds it. A log that was made for its lock alone goes at the end.

    Raises:
        RunBusy: another process trains it, here or on another machine.
        SaveError: nothing can be written beside the run folder.
    """
    path = log_of(folder)
    if _same(STDOUT, path):
        with named(folder, _lock(STDOUT, path, PATIENCE_SECONDS)):
            yield
        return
    while True:
        with _opened(path) as log:
            held = _lock(log.fileno(), path, PATIENCE_SECONDS)
            if not _same(log.fileno(), path):  # the process that had it has removed it meanwhile
                continue
            try:
                with named(folder, held):
                    yield
            finally:
                if os.fstat(log.fileno()).st_size == 0:
                    path.unlink(missing_ok=True)
            return


def _lock(descriptor: int, path: Path, patience: float) -> bool:
    """Whether the lock is held; False where the file system has none."""
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= until:
                folder = path.with_name(path.name.removesuffix(".log"))
                raise RunBusy(busy(folder, holder_of(folder))) from None
            time.sleep(STEP_SECONDS)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            print(f"note          {path.parent} has no file locks: a file beside the run guards it", flush=True)
            return False


def _same(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one at a path, where there is one."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    return False
