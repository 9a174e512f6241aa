"""The order of a run's TensorBoard files, which stands in their names as the time at which each was begun."""

import time
from pathlib import Path

BEGINNING = "events.out.tfevents."


def put_before_now(folder: Path) -> None:
    """Rename files that were begun later than now, by a clock that has been put back meanwhile.

    TensorBoard reads files by their names. It would read what a run adds first, and drop from sight all that is behind.
    """
    now = int(time.time())
    files = [(file, *file.name.removeprefix(BEGINNING).split(".", 1)) for file in folder.rglob(f"{BEGINNING}*")]
    known = sorted((int(begun), file, rest) for file, begun, rest in files if begun.isdigit())
    if known and known[-1][0] >= now:
        for before, (_, file, rest) in enumerate(reversed(known), start=1):
            file.rename(file.with_name(f"{BEGINNING}{now - before:010d}.{rest}"))
