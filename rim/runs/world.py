"""Which of a run's processes this one is, and who started them: torchrun, SLURM, Lightning, or nobody.

All that divides work asks here, so that no two places disagree. Processes of one machine are a node.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rim.base.errors import UserError
from rim.settings import Training

Launcher = Literal["torchrun", "srun", "own"]
"""Who starts the processes of a run; `own`: the run itself, once it trains."""
TORCHRUN = ("RANK", "LOCAL_RANK", "WORLD_SIZE")
SLURM = ("SLURM_NTASKS", "SLURM_PROCID", "SLURM_LOCALID")
OURS = (
    *TORCHRUN,
    *("LOCAL_WORLD_SIZE", "GROUP_RANK", "GROUP_WORLD_SIZE", "ROLE_RANK", "ROLE_WORLD_SIZE", "NODE_RANK"),
    *("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_USE_AGENT_STORE"),
    *(*SLURM, "SLURM_NODEID", "SLURM_NNODES", "SLURM_NTASKS_PER_NODE", "SLURM_STEP_ID"),
)
"""Variables that say which process of a run this one is. They are no concern of another run that it starts."""


class WorldError(UserError):
    """Processes that were started otherwise than the settings ask for."""


@dataclass(frozen=True)
class World:
    """Place of this process: `rank` of `size` over all nodes."""

    launcher: Launcher
    rank: int
    size: int

    @property
    def first(self) -> bool:
        """Whether this process writes files and prints."""
        return self.rank == 0


def is_first_process() -> bool:
    """Whether this process writes files and prints."""
    launcher, env = launcher_of(os.environ), os.environ
    ranks = {"torchrun": ("RANK",), "srun": ("SLURM_PROCID",), "own": ("NODE_RANK", "LOCAL_RANK")}[launcher]
    return all(int(env.get(name, "0")) == 0 for name in ranks)


def launcher_of(env: Mapping[str, str]) -> Launcher:
    """Who has started the processes. A single task of SLURM starts its own, and so does a shell that SLURM opened."""
    if all(name in env for name in TORCHRUN):
        return "torchrun"
    in_shell = env.get("SLURM_JOB_NAME") in ("bash", "interactive")  # as Lightning has it
    in_script = env.get("ENVIRONMENT") == "BATCH" and "SLURM_STEP_ID" not in env  # of sbatch, without srun
    is_task = all(name in env for name in SLURM) and not in_shell and not in_script
    return "srun" if is_task and int(env["SLURM_NTASKS"]) > 1 else "own"


def find_world(training: Training) -> World:
    """The place of this process among those that the settings ask for.

    Raises:
        WorldError: another number of processes was started, or nobody starts those of other nodes.
    """
    env, nodes, devices = os.environ, training.nodes, training.devices
    launcher = launcher_of(env)
    if launcher == "own":
        return _own(env, nodes, devices)
    size_name, rank_name = ("WORLD_SIZE", "RANK") if launcher == "torchrun" else ("SLURM_NTASKS", "SLURM_PROCID")
    size, on_node = int(env[size_name]), _on_node(env, launcher)
    if size != nodes * devices or (on_node is not None and on_node != devices):
        per_node = on_node or size // max(1, int(env.get("SLURM_NNODES", nodes)))
        raise WorldError(
            f"{launcher} has started {size} processes, and the settings ask for {nodes * devices}: training.nodes="
            f"{nodes} machines with training.devices={devices} each. Set training.nodes={size // per_node} and "
            f"training.devices={per_node}, or start as many processes as the settings say ({_HOW[launcher]})"
        )
    return World(launcher, int(env[rank_name]), size)


_HOW = {"torchrun": "--nnodes and --nproc-per-node", "srun": "--nodes and --ntasks-per-node"}


def _on_node(env: Mapping[str, str], launcher: Launcher) -> int | None:
    """Processes on this machine, where the launcher says so."""
    told = env.get("LOCAL_WORLD_SIZE" if launcher == "torchrun" else "SLURM_NTASKS_PER_NODE", "")
    return int(told) if told.isdecimal() and int(told) else None


def _own(env: Mapping[str, str], nodes: int, devices: int) -> World:
    """Of a command that is given once on each node; Lightning numbers the processes that it starts on it."""
    needed = [name for name in ("NODE_RANK", "MASTER_ADDR", "MASTER_PORT") if name not in env]
    if nodes > 1 and needed:
        raise WorldError(
            f"training.nodes={nodes}, and nobody has said which of the machines this is: start the command with "
            f"torchrun or srun (docs/clusters.md), or set {', '.join(needed)} on every machine"
        )
    node, local_rank = int(env.get("NODE_RANK", "0")), int(env.get("LOCAL_RANK", "0"))
    if node >= nodes or local_rank >= devices:
        raise WorldError(
            f"this is process LOCAL_RANK={local_rank} of machine NODE_RANK={node}, each counted from 0, and the "
            f"settings ask for training.nodes={nodes} machines with training.devices={devices} processes each: set "
            "both to what was started"
        )
    return World("own", node * devices + local_rank, nodes * devices)


def without_place(env: Mapping[str, str]) -> dict[str, str]:
    """The environment for a run that this process starts, which is a world of its own."""
    return {name: value for name, value in env.items() if name not in OURS}
