"""What processes that train together compare before the first update, and what is said where a connection breaks."""

from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist

from rim.runs.world import World
from rim.training.processes import TogetherError, View, told_when_one_is_lost
from tests.runs import tiny

SOMEWHERE = Path("somewhere")
ROWS: list[dict[str, Any]] = [{"source": "own/train", "origin": "a", "encoded": "12", "kept": 5}]


def other(updates: int = 4, rows: list[dict[str, Any]] = ROWS, folder: Path = SOMEWHERE, *more: str) -> str:
    return View(tiny(folder, *more), rows, updates).other_than(View(tiny(SOMEWHERE), ROWS, 4))


def test_processes_that_train_the_same_run() -> None:
    """Files may lie elsewhere on each machine."""
    assert other() == ""
    assert other(4, [ROWS[0] | {"origin": "b"}], Path("elsewhere"), "data.root=here") == ""


def test_processes_that_do_not_train_the_same_run() -> None:
    assert other(0) == (
        "finds a run folder with 0 updates done, and the first one with 4: run.folder must be one folder that all "
        "machines share"
    )
    assert other(4, [ROWS[0] | {"encoded": "13"}]) == (
        "has other rows (own/train: rows encoded with sha256 12 -> with sha256 13): bring the same files to all "
        "machines"
    )
    assert other(4, ROWS, SOMEWHERE, "training.log_every=3", "memory.blocks=2") == (
        "was started with other settings (memory.blocks: 3 -> 2; training.log_every: 1 -> 3): give all the same command"
    )


@pytest.mark.parametrize(
    "error", [RuntimeError("[a/gloo/pair.cc:5] Connection closed by peer\nand more"), dist.DistBackendError("NCCL")]
)
def test_a_broken_connection_says_what_to_do(error: RuntimeError) -> None:
    with pytest.raises(TogetherError) as told, told_when_one_is_lost(World("torchrun", 1, 4)):
        raise error
    reason = str(error).partition("\n")[0]
    assert str(told.value) == (
        "process 1 of 4 has lost contact with another one, which has ended, was killed, or whose machine cannot be "
        f"reached ({reason}). All of them end now. The last checkpoint is intact: repeat the command, on as many "
        "processes as there are, and it goes on from there"
    )


def test_any_other_failure_keeps_its_traceback() -> None:
    with pytest.raises(RuntimeError, match=r"^shapes$"), told_when_one_is_lost(World("own", 0, 2)):
        raise RuntimeError("shapes")
