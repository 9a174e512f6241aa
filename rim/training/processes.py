"""Processes that train together: they agree before the first update, and none goes on, or waits, without the others."""

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch.distributed as dist

from rim.base.errors import UserError
from rim.data.same_rows import changes
from rim.runs.world import World
from rim.settings import Config
from rim.settings.load import differences
from rim.settings.resuming import PLACES, path_of

PARENT = "RIM_FIRST_PROCESS"
"""Variable with the id of the process that has started this one to train with it."""
WATCH_SECONDS = 5.0
ELSEWHERE = (*PLACES, "run.folder")
"""Settings that may differ between machines: where things lie on them."""


class TogetherError(UserError):
    """Processes that do not train the same run, or of which one has been lost."""


@dataclass(frozen=True)
class View:
    """What a process is about to train: settings, reports of rows, and updates that its run folder has."""

    config: Config
    rows: list[dict[str, Any]]
    updates: int

    def other_than(self, first: "View") -> str:
        """How it differs from what the first process has; empty: it does not."""
        changed = [line for line in differences(first.config, self.config) if path_of(line) not in ELSEWHERE]
        if changed:
            return f"was started with other settings ({'; '.join(changed)}): give all the same command"
        if rows := changes(first.rows, self.rows):
            return f"has other rows ({'; '.join(map(str, rows))}): bring the same files to all machines"
        if self.updates != first.updates:
            return (
                f"finds a run folder with {self.updates:,} updates done, and the first one with {first.updates:,}: "
                "run.folder must be one folder that all machines share"
            )
        return ""


class Agreement(pl.Callback):
    """Compares what the processes are about to train, as soon as they can talk, and before anything is loaded."""

    def __init__(self, view: View) -> None:
        self.view = view

    def setup(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        """Refuse processes that do not fit together, in all of them alike.

        Raises:
            TogetherError: names the process, its machine, and what differs.
        """
        if not dist.is_initialized():
            return
        views: list[Any] = [None] * dist.get_world_size()
        dist.all_gather_object(views, (self.view, socket.gethostname()))
        for rank, (view, host) in enumerate(views):
            if found := view.other_than(views[0][0]):
                raise TogetherError(f"process {rank} of {len(views)}, on {host}, {found}")


@contextmanager
def told_when_one_is_lost(world: World) -> Iterator[None]:
    """Turn what a library says when a connection breaks into words on what to do.

    Raises:
        TogetherError: another process has ended, was killed, or its machine cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        reason = str(error).strip().partition("\n")[0]
        raise TogetherError(
            f"process {world.rank} of {world.size} has lost contact with another one, which has ended, was killed, or "
            f"whose machine cannot be reached ({reason}). All of them end now. The last checkpoint is intact: repeat "
            "the command, on as many processes as there are, and it goes on from there"
        ) from error


def end_together(world: World) -> None:
    """Where the run starts its own processes, see to it that none outlives the first, and that it is said why all end.

    A GPU that waits for another process does not notice that it has gone.
    """
    if world.launcher != "own" or world.size == 1:
        return
    if os.environ.get(PARENT) == str(os.getppid()):
        threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    else:
        os.environ[PARENT] = str(os.getpid())
        # says which process has ended before Lightning ends the others
        logging.getLogger("lightning.fabric.strategies.launchers.subprocess_script").setLevel(logging.INFO)


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    time.sleep(WATCH_SECONDS)  # one that has noticed by itself says so, and saves nothing either
    print(f"error: the first process ({parent}) has ended, and this one with it", file=sys.stderr, flush=True)
    os._exit(1)
