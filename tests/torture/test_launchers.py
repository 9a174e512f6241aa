"""Two processes that torchrun has really started are stopped, and the run goes on; also what starting them takes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.runs import curve, overrides, tiny
from tests.swift import fit
from tests.torture.conftest import SHORT, STILL
from tests.torture.test_kills import saved
from tests.training.test_two_processes import assert_close

ROOT = Path(__file__).resolve().parents[2]
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "rim.fit", "training.devices=2")
SLOW = "stages.1.duration=4000 steps"
"""So long that the run does not end before it is struck."""
MINUTE = 60.0
STARTS = 10 * MINUTE
"""Limit of a run's start and first three updates: seconds on a core of its own, minutes on one that many share."""


@contextmanager
def started(launcher: Sequence[str], folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """A long run on two processes, once its third update is done; nothing of it is left afterwards."""
    words = [*launcher, *overrides(folder, *SHORT, STILL, SLOW, f"run.name={name}")]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, *words], cwd=folder, env=env, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        until = time.monotonic() + STARTS
        while not any(each["update"] >= 3 for each in curve(folder / name)):
            if process.poll() is not None or time.monotonic() > until:
                kill_all(process, folder, name)  # else they would hold the pipe that is read here
                raise AssertionError(f"no third update within {STARTS:g} s: {process.communicate()[0]}")
            time.sleep(0.05)
        yield process
    finally:
        kill_all(process, folder, name)
        process.wait()


def kill_all(process: subprocess.Popen[str], folder: Path, name: str) -> None:
    """A launcher and the processes of its run."""
    for each in (process.pid, *members(folder, name)):
        with_pid(each, signal.SIGKILL)


def members(folder: Path, name: str) -> list[int]:
    """Processes that train a run, the youngest last."""
    listed = subprocess.run(["ps", "-eww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    words = f"run.folder={folder} ", f"run.name={name}"
    lines = [line for line in listed.splitlines() if all(word in line for word in words)]
    return sorted(int(line.split()[0]) for line in lines if "torch.distributed.run" not in line)


def with_pid(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def assert_goes_on(folder: Path, name: str, still: Path) -> None:
    """In one process, over the switch of stages, on the curve of the run of one."""
    before = saved(folder / name)
    (folder / name / "config.yaml").write_text(
        (folder / name / "config.yaml").read_text().replace("4000 steps", "6 steps")
    )
    if before < 13:
        assert fit(tiny(folder, *SHORT, STILL, f"run.name={name}")) == 0
        assert_close(curve(folder / name), curve(still))
    mine = [each for each in curve(folder / name) if each["update"] <= 7]
    assert_close(mine, [each for each in curve(still) if each["update"] <= 7])


def test_sigterm_under_torchrun(still: Path) -> None:
    """It reaches torchrun, which passes it on; both processes save, and leave without being killed."""
    folder = still.parent
    with started(TORCHRUN, folder, "torchrun") as process:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=2 * MINUTE)
    update = curve(folder / "torchrun")[-1]["update"]
    assert f"stopped by SIGTERM after update {update}; repeat the command to go on\n" in out
    assert saved(folder / "torchrun") == update and out.count("stopped by SIGTERM") == 1
    assert_goes_on(folder, "torchrun", still)
