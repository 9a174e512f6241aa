"""Where studies are kept: sqlite beside the runs, or any database that Optuna knows, with heartbeats."""

import fcntl
import random
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from sqlalchemy import event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from rim.base.errors import UserError

HEARTBEAT_SECONDS = 60
GRACE_SECONDS = 180
"""A trial whose worker has not been heard of for so long is another's to take up."""
RETRIES = 5
"""How often a trial whose worker died is taken up within a command; a repeated command tries again."""
OPENINGS = 6
"""Attempts to open a storage that others may be creating at the same moment."""


class SweepError(UserError):
    """A sweep that cannot go on in its storage."""


def open_storage(address: str, create: bool = True) -> RDBStorage:
    """The storage at an address.

    Args:
        create: whether tables are made where there are none.

    Raises:
        SweepError: the address cannot be used or reached.
    """
    warnings.filterwarnings("ignore", category=ExperimentalWarning)  # heartbeats: Optuna may change how they are set
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for attempt in range(OPENINGS if create else 1):
        try:
            return _opened(address, create)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            raise SweepError(_refusal(address, error)) from None
        except (SQLAlchemyError, optuna.exceptions.StorageInternalError) as error:  # two that make tables at once
            reason = error
            time.sleep(random.uniform(0, 0.3) * 2**attempt if create else 0)
    raise SweepError(_refusal(address, reason)) from None


def _opened(address: str, create: bool) -> RDBStorage:
    sqlite = make_url(address).get_backend_name() == "sqlite"
    more: dict[str, Any] = {"connect_args": {"timeout": 60}} if sqlite else {"pool_pre_ping": True}
    storage = RDBStorage(
        address,
        engine_kwargs={"pool_size": 20, **more},
        skip_compatibility_check=not create,
        skip_table_creation=not create,
        heartbeat_interval=HEARTBEAT_SECONDS,
        grace_period=GRACE_SECONDS,
        heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=RETRIES),
    )
    if sqlite:
        _lock_before_reading(storage)
    return storage


def _lock_before_reading(storage: RDBStorage) -> None:
    """Make sqlite take its lock when a transaction begins.

    Optuna claims a trial by reading its state and then writing it. By default sqlite locks at the write, and two
    workers may both have read that it waits. (SQLAlchemy, "SQLite", on transactions with the sqlite3 driver.)
    """

    @event.listens_for(storage.engine, "connect")
    def leave_transactions_to_us(connection: Any, _: Any) -> None:
        connection.isolation_level = None

    @event.listens_for(storage.engine, "begin")
    def begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    storage.engine.dispose()


def shown_address(address: str) -> str:
    """An address without its password."""
    return make_url(address).render_as_string(hide_password=True)


def _refusal(address: str, error: Exception) -> str:
    reason = str(error).partition("\n")[0].rstrip(".")
    if isinstance(error, ArgumentError) and not isinstance(error, NoSuchModuleError):
        return "storage is no address: write postgresql://user:password@host/database, or leave it empty"
    driver = (
        " (its driver is not installed; of postgresql: pip install psycopg[binary])"
        if isinstance(error, ImportError)
        else ""
    )
    return (
        f"storage: {shown_address(address)} cannot be opened{driver}: {reason}. Mend it, or leave storage empty for a "
        "file beside the runs, which is enough for one machine"
    )


@contextmanager
def turn(folder: Path) -> Iterator[None]:
    """One process of this folder at a time, as long as the body takes."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "study.lock", "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
