"""Runs in processes of their own, which can be killed at an exact point; all are forked from one with the imports."""

import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

from tests.helpers_ddp import LOOPBACK

LIMIT_SECONDS = 600.0
"""Limit of a run of the tests, which takes seconds on a core of its own, and minutes on one that many share."""
LAZY = ("torch.utils.tensorboard", "rim.fit")
"""What a run imports when it needs it."""
IMPORTS = ("rim.training.run", "rim.methods.memory_blocks", "rim.studies.sweeps.conduct", "tests.swift", *LAZY)

Patch = Callable[[], None]
"""Called in a child before it trains; it stands at the top of a module, so that it can be pickled."""


@dataclass(frozen=True)
class Strike:
    """A patch: the run sends itself a signal once `updates` updates are done, when a method has returned.

    `method` is one of `Curriculum` or `RimModule`; `rank` the process that is struck, None: all of them.
    """

    method: str
    updates: int
    signal: int = signal.SIGKILL
    rank: int | None = None

    def __call__(self) -> None:
        """Put the patch in place."""
        from rim.training.curriculum import Curriculum
        from rim.training.module import RimModule

        owner = Curriculum if hasattr(Curriculum, self.method) else RimModule
        method = getattr(owner, self.method)

        def struck(this: Any, *arguments: Any) -> Any:
            result = method(this, *arguments)
            module = this if owner is RimModule else arguments[1]
            if module.updates == self.updates and self.rank in (None, module.global_rank):
                os.kill(os.getpid(), self.signal)
            return result

        setattr(owner, self.method, struck)


@dataclass(frozen=True)
class Ended:
    """Exit status of a process (minus the signal's number where one ended it), and all that it wrote."""

    status: int | None
    output: str


def fit_in_child(folder: Path, overrides: Sequence[str], patch: Patch | None = None) -> Ended:
    """`python -m rim.fit` in another process, without figures and costs."""
    return fit_in_children(folder, [overrides], [{}], patch)[0]


def fit_on_two(folder: Path, overrides: Sequence[str], patch: Patch | None = None) -> list[Ended]:
    """The same on two processes that were started from outside, as a launcher does; they talk over gloo."""
    ranks = [{"WORLD_SIZE": "2", "NODE_RANK": "0", "LOCAL_RANK": str(rank)} for rank in (0, 1)]
    return fit_together(folder, [*overrides, "training.devices=2"], ranks, patch)


def fit_together(
    folder: Path, overrides: Sequence[str], places: Sequence[dict[str, str]], patch: Patch | None = None
) -> list[Ended]:
    """One process for each place, given by the variables that a launcher sets; they find each other on this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": LOOPBACK}
    return fit_in_children(folder, [overrides] * len(places), [shared | place for place in places], patch)


def torchrun(nodes: int, devices: int) -> list[dict[str, str]]:
    """Places of processes as torchrun sets them, with as many `devices` on each of the `nodes`."""
    sizes = {"WORLD_SIZE": str(nodes * devices), "LOCAL_WORLD_SIZE": str(devices)}
    return [
        sizes | {"RANK": str(node * devices + local), "LOCAL_RANK": str(local), "GROUP_RANK": str(node)}
        for node in range(nodes)
        for local in range(devices)
    ]


def slurm(tasks: int) -> list[dict[str, str]]:
    """Places of the tasks of one node as srun sets them."""
    shared = {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "rim", "SLURM_STEP_ID": "0", "SLURM_NODEID": "0"}
    shared |= {"SLURM_NNODES": "1", "SLURM_NTASKS": str(tasks), "SLURM_NTASKS_PER_NODE": str(tasks)}
    return [shared | {"SLURM_PROCID": str(task), "SLURM_LOCALID": str(task)} for task in range(tasks)]


def forked() -> ForkServerContext:
    """How processes are made: each is forked from one that has done the imports."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        ["rim.training.run", "rim.methods.memory_blocks", "rim.studies.sweeps.conduct", "tests.swift"]
    )
    return context


def fit_in_children(
    folder: Path, overrides: Sequence[Sequence[str]], environments: Sequence[dict[str, str]], patch: Patch | None
) -> list[Ended]:
    """One process for each command line; all write to files in `folder`."""
    context = forked()
    logs = [folder / f"output-{number}.txt" for number in range(len(overrides))]
    children: list[ForkServerProcess] = []
    try:
        for each, environment, log in zip(overrides, environments, logs, strict=True):
            children.append(context.Process(target=_child, args=(list(each), environment, patch, log)))
            children[-1].start()
        for child in children:
            child.join(LIMIT_SECONDS)
    finally:
        for child in children:
            child.kill()
            child.join()
    return [Ended(child.exitcode, log.read_text()) for child, log in zip(children, logs, strict=True)]


def _child(overrides: list[str], environment: dict[str, str], patch: Patch | None, log: Path) -> None:
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.environ.update(environment)
    from tests.swift import swiftly

    swiftly()
    if patch is not None:
        patch()
    from rim.fit import main

    sys.exit(main(overrides))
