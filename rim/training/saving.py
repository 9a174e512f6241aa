"""Saving the state that a run resumes from, and what is said where the disk is full."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from rim.base.files import SaveError, refused, write_atomically


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints take their place in one step, so that a kill or a full disk leaves the one before."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write beside, then rename.

        Raises:
            SaveError: the system refused; the checkpoint before is intact.
        """

        def write(file: BinaryIO) -> None:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                # torch tries to end its archive when writing has failed, and that second failure hides the first
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise

        write_atomically(Path(path), write)


@contextmanager
def told_when_full(folder: Path) -> Iterator[None]:
    """Turn a full disk into an error that says what to do, whoever met it: curve and TensorBoard append as they go.

    Raises:
        SaveError: no space, or no more of the user's share; or a run folder that may only be read.
    """
    try:
        yield
    except OSError as error:
        inside = Path(str(error.filename or folder)).resolve().is_relative_to(folder.resolve())
        may_not = error.errno in (errno.EROFS, errno.EACCES, errno.EPERM) and inside
        if not may_not and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise SaveError(refused(error.filename or folder, error)) from error
