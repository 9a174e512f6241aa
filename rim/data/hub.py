"""Rows from the Hugging Face hub; without a network from its local cache, and else a quick, plain refusal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any

from rim import hub
from rim.data.example import DataError


@dataclass(frozen=True)
class Table:
    """One split of a data set on the hub, and the local files (below `data.root`) that hold the same."""

    name: str
    config: str | None
    split: str
    files: tuple[str, ...]


def rows(table: Table) -> Sequence[dict[str, Any]]:
    """The table's rows.

    Raises:
        DataError: neither reachable nor in the local cache (said within 15 s), or refused by the hub.
    """
    online = hub.reachable()
    try:
        return _load(table, online)
    except Exception as error:  # the libraries raise many kinds, by what they miss
        trouble = "could not be read" if online else "cannot be reached, and its local cache does not hold them"
        raise DataError(
            f"the rows of '{table.name}', split '{table.split}', are on the Hugging Face hub, which {trouble} "
            f"({type(error).__name__}: {str(error).splitlines()[0]:.200}). Set data.root=FOLDER to a folder that holds "
            f"{' or '.join(table.files)}, or run once with a network"
        ) from error


def fingerprint(table: Table) -> str:
    """sha256 of the table's name and of the commit it was read at."""
    rows(table)
    return sha256(f"hub {table.name} {table.config} {table.split} {_commit(table.name)}".encode()).hexdigest()


@cache
def _load(table: Table, online: bool) -> Sequence[dict[str, Any]]:
    import datasets

    with _offline(not online), _quiet():
        found: Sequence[dict[str, Any]] = datasets.load_dataset(table.name, table.config, split=table.split)
    return found


def _commit(name: str) -> str:
    """The commit that the local cache of the hub holds; the data card is fetched before any rows."""
    from huggingface_hub import try_to_load_from_cache

    card = try_to_load_from_cache(name, "README.md", repo_type="dataset")
    return card.replace("\\", "/").split("/")[-2] if isinstance(card, str) else "unknown"


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
def _quiet() -> Iterator[None]:
    """Without the library's notes about its cache; ours says what was used."""
    from datasets.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(before)
