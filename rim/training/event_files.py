"""The order of a run's TensorBoard files, which stands in their names as the time at which each was begun."""

import time
from pathlib import Path

BEGINNING = "events.out.tfevents."


def put_before_now(folder: Path) -> None:
    """Rename files that were begun later than now, by a clock that has been put back meanwhile.

    TensorBoard reads files by their names. It would read what a run adds first, and drop from sight all that is behind.
    """
    now = int(time.time())
    known = sorted((_begun(file), file) for file in folder.rglob(f"{BEGINNING}*"))
    if known and known[-1][0] >= now:
        for before, (_, file) in enumerate(reversed(known), start=1):
            rest = file.name.removeprefix(BEGINNING).partition(".")[2]
            file.rename(file.with_name(f"{BEGINNING}{now - before:010d}.{rest}"))


def _begun(file: Path) -> int:
    """Seconds in the name of a file; 0: it is named otherwise."""
    told = file.name.removeprefix(BEGINNING).partition(".")[0]
    return int(told) if told.isdigit() else 0
