"""Rows from the Hugging Face hub; without a network from its local cache, and else a quick, plain refusal."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from rim.base import hub
from rim.data.errors import DataError

COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Table:
    """One split of a data set on the hub, at a commit, a branch or another name for one."""

    name: str
    config: str | None
    split: str
    revision: str = "main"


class Loaded(NamedTuple):
    """Rows, and the commit that they were really read at."""

    rows: Sequence[dict[str, Any]]
    commit: str


def at(table: Table, revisions: Sequence[str]) -> Table:
    """The table at the revision that `data.revisions` asks for, if it does."""
    wanted = dict(entry.split("@", 1) for entry in revisions)
    return replace(table, revision=wanted.get(table.name, table.revision))


def origin(table: Table, instead: Sequence[str]) -> str:
    """Name of the table, and the commit that it was read at; raises as `load`."""
    name = " ".join(part for part in (table.name, table.config, table.split) if part)
    return f"{name} at {load(table, instead).commit}"


def load(table: Table, instead: Sequence[str]) -> Loaded:
    """The table's rows; `instead` are local files that hold the same, for messages.

    Raises:
        DataError: neither reachable nor in the local cache (said within 15 s), refused by the hub, or cached at
            another commit than the pinned one.
    """
    online = hub.reachable()
    try:
        found = _load(table, online)
    except Exception as error:  # the libraries raise many kinds, by what they miss
        trouble = "could not be read" if online else "cannot be reached, and its local cache does not hold them"
        raise DataError(
            f"the rows of '{table.name}', split '{table.split}', are on the Hugging Face hub, which {trouble} "
            f"({type(error).__name__}: {str(error).splitlines()[0]:.200}). {_instead(instead)}, or run once with a "
            "network"
        ) from error
    if COMMIT.fullmatch(table.revision) and found.commit != table.revision:
        raise DataError(
            f"the local cache holds '{table.name}' at commit {found.commit}, and it is pinned at {table.revision}: run "
            f"once with a network, or take what is there with data.revisions=[{table.name}@{found.commit}]"
        )
    return found


def _instead(files: Sequence[str]) -> str:
    """The local files that do as well; a table that a user names has none."""
    folder = f"Set data.root=FOLDER to a folder that holds {' or '.join(files)}"
    return folder if files else "Write its rows into files and name these in the place of data.own.table"


@cache
def _load(table: Table, online: bool) -> Loaded:
    import datasets

    with _offline(not online), quiet():
        found = datasets.load_dataset(table.name, table.config, split=table.split, revision=table.revision)
    files = found.cache_files  # in a folder that has the commit's name
    return Loaded(found, Path(files[0]["filename"]).parent.name if files else "unknown")


@contextmanager
def _offline(wanted: bool) -> Iterator[None]:
    """Go straight to the cache: `datasets` would ask an unreachable hub for 24 s first."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = before or wanted
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


@contextmanager
def quiet() -> Iterator[None]:
    """Without the library's notes about its cache and its progress; ours says what was used."""
    from datasets.utils import logging

    before, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        if bars:
            logging.enable_progress_bar()
