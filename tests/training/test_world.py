"""Which process of a run this is, by the variables that launchers set; and processes that were started otherwise."""

import os
from typing import Any

import pytest
from lightning.fabric.plugins.environments import LightningEnvironment, SLURMEnvironment, TorchElasticEnvironment

from rim.runs.world import OURS, World, WorldError, find_world, is_first_process, without_place
from rim.settings import Training
from rim.training.trainer import cluster

TORCHRUN = {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "GROUP_RANK": "1"}
SLURM = {
    "SLURM_JOB_ID": "77", "SLURM_JOB_NAME": "rim", "SLURM_STEP_ID": "0", "SLURM_NNODES": "2", "SLURM_NTASKS": "4",
    "SLURM_NTASKS_PER_NODE": "2", "SLURM_PROCID": "2", "SLURM_LOCALID": "0", "SLURM_NODEID": "1",
}  # fmt: skip
BATCH = {name: text for name, text in SLURM.items() if name != "SLURM_STEP_ID"} | {"ENVIRONMENT": "BATCH"}
ADDRESS = {"MASTER_ADDR": "a", "MASTER_PORT": "1"}


@pytest.fixture
def env(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment of its own, with none of a launcher's variables."""
    monkeypatch.setattr(os, "environ", without_place(os.environ))
    return os.environ  # type: ignore[return-value]


CASES: list[tuple[dict[str, str], tuple[int, int], World, tuple[int, int], type]] = [
    ({}, (1, 1), World("own", 0, 1), (0, 0), LightningEnvironment),
    ({}, (1, 2), World("own", 0, 2), (0, 0), LightningEnvironment),
    ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, (1, 2), World("own", 1, 2), (1, 0), LightningEnvironment),
    ({"NODE_RANK": "1", **ADDRESS}, (2, 2), World("own", 2, 4), (0, 1), LightningEnvironment),
    ({"NODE_RANK": "1", "LOCAL_RANK": "1", **ADDRESS}, (2, 2), World("own", 3, 4), (1, 1), LightningEnvironment),
    (TORCHRUN, (2, 4), World("torchrun", 5, 8), (1, 1), TorchElasticEnvironment),
    (dict.fromkeys(("RANK", "LOCAL_RANK"), "1") | {"WORLD_SIZE": "2"}, (1, 2), World("torchrun", 1, 2), (1, 0),
     TorchElasticEnvironment),
    (SLURM, (2, 2), World("srun", 2, 4), (0, 1), SLURMEnvironment),
    (SLURM | TORCHRUN, (2, 4), World("torchrun", 5, 8), (1, 1), TorchElasticEnvironment),
    (SLURM | {"SLURM_NTASKS": "1", "SLURM_PROCID": "0"}, (1, 2), World("own", 0, 2), (0, 0), LightningEnvironment),
    (SLURM | {"SLURM_JOB_NAME": "bash"}, (1, 2), World("own", 0, 2), (0, 0), LightningEnvironment),
    (BATCH, (1, 2), World("own", 0, 2), (0, 0), LightningEnvironment),
]  # fmt: skip


@pytest.mark.parametrize(("given", "asked", "world", "on_node", "kind"), CASES)
def test_place_of_a_process(
    given: dict[str, str],
    asked: tuple[int, int],
    world: World,
    on_node: tuple[int, int],
    kind: type,
    env: dict[str, str],
) -> None:
    """And Lightning is told the same, with the process's number on its node and that node's."""
    env.update(given)
    training = Training(nodes=asked[0], devices=asked[1])
    assert find_world(training) == world and is_first_process() == world.first
    told = cluster(training)
    assert type(told) is kind and (told.local_rank(), told.node_rank()) == on_node
    if world.launcher != "own":
        assert (told.global_rank(), told.world_size()) == (world.rank, world.size)


def test_tasks_without_a_number_for_each_node(env: dict[str, str]) -> None:
    """`srun --ntasks=2`, of which Lightning alone would say that it is not supported."""
    env.update({name: text for name, text in SLURM.items() if name != "SLURM_NTASKS_PER_NODE"})
    assert cluster(Training(nodes=2, devices=2)).world_size() == 4


@pytest.mark.parametrize(
    ("given", "asked", "words"),
    [
        (
            TORCHRUN, (1, 1),
            "torchrun has started 8 processes, and the settings ask for 1: training.nodes=1 machines with "
            "training.devices=1 each. Set training.nodes=2 and training.devices=4, or start as many processes as the "
            "settings say (--nnodes and --nproc-per-node)",
        ),
        (TORCHRUN, (4, 2), "Set training.nodes=2 and training.devices=4"),
        (
            SLURM, (1, 2),
            "srun has started 4 processes, and the settings ask for 2: training.nodes=1 machines with "
            "training.devices=2 each. Set training.nodes=2 and training.devices=2, or start as many processes as the "
            "settings say (--nodes and --ntasks-per-node)",
        ),
        (
            {}, (2, 2),
            "training.nodes=2, and nobody has said which of the machines this is: start the command with torchrun or "
            "srun (docs/clusters.md), or set NODE_RANK, MASTER_ADDR, MASTER_PORT on every machine",
        ),
        (
            {"LOCAL_RANK": "1"}, (1, 1),
            "this is process LOCAL_RANK=1 of machine NODE_RANK=0, each counted from 0, and the settings ask for "
            "training.nodes=1 machines with training.devices=1 processes each: set both to what was started",
        ),
    ],
)  # fmt: skip
def test_processes_that_the_settings_do_not_ask_for(
    given: dict[str, str], asked: tuple[int, int], words: str, env: dict[str, str]
) -> None:
    env.update(given)
    with pytest.raises(WorldError) as error:
        find_world(Training(nodes=asked[0], devices=asked[1]))
    assert words in str(error.value)


def test_a_run_that_is_started_from_here_is_a_world_of_its_own(env: dict[str, str]) -> None:
    given: dict[str, Any] = TORCHRUN | SLURM | ADDRESS
    assert without_place({**given, "HOME": "h"}) == {"HOME": "h", "SLURM_JOB_ID": "77", "SLURM_JOB_NAME": "rim"}
    assert {*TORCHRUN, *ADDRESS} <= set(OURS)
