"""Writing files so that a kill or a full disk leaves either the old content or the new, never half of it."""

import errno
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from rim.base.errors import UserError


class SaveError(UserError):
    """A file that could not be written; what stood there before is untouched."""


def refused(path: object, error: OSError, state: str = "") -> str:
    """What is said where the system refuses to write, with the way out; `state` tells what was there before."""
    way = "Make it writable" if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else "Make room"
    return (
        f"{path} could not be written: {error.strerror or error}{state}. {way}, or write to another folder "
        "(move a run to another run.folder), then repeat the command: a run goes on from its last checkpoint"
    )


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write beside `path`, flush to disk, then take its place.

    Raises:
        SaveError: the system refused (no space, no permission); the old file survives and no scrap remains.
    """
    scrap = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(scrap, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scrap, path)
    except OSError as error:
        with suppress(OSError):  # as where a folder of the path is a file
            scrap.unlink(missing_ok=True)
        state = "the previous file is intact" if path.exists() else "nothing was left behind"
        raise SaveError(refused(path, error, f"; {state}")) from error
    except BaseException:
        scrap.unlink(missing_ok=True)
        raise


def remove_scraps(folder: Path) -> None:
    """Remove what killed processes have left of files in a folder, into which no other process writes now."""
    for scrap in folder.glob(".*.part"):
        if scrap.is_file():
            scrap.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, atomically."""
    write_atomically(path, lambda file: file.write(content))


def write_json(path: Path, content: Any) -> None:
    """Write plain types as indented JSON, atomically."""
    write_bytes(path, (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode())
