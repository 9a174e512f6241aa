"""One of two processes is killed, which torchrun or the run itself has started: all end, say so, and the run goes on.

Each process takes seconds to start: this belongs to `make torture` alone (`conftest.py`).
"""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.torture.test_launchers import MINUTE, TORCHRUN, assert_goes_on, members, started

OWN = ("-m", "rim.fit", "training.devices=2")


@pytest.mark.parametrize("launcher", [TORCHRUN, OWN], ids=["torchrun", "own"])
@pytest.mark.parametrize("victim", [-2, -1], ids=["first", "second"])
def test_a_process_that_is_killed_ends_all_within_a_minute(launcher: Sequence[str], victim: int, still: Path) -> None:
    folder, name = still.parent, f"lost-{len(launcher)}{victim}"
    with started(launcher, folder, name) as process:
        os.kill(members(folder, name)[victim], signal.SIGKILL)
        out, _ = process.communicate(timeout=MINUTE)
        assert not members(folder, name), "one of them is left"
    assert process.returncode != 0
    assert "has lost contact with another one" in out and "The last checkpoint is intact: repeat the command" in out
    assert_goes_on(folder, name, still)
