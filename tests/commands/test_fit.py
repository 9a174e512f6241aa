"""`python -m rim.fit` as a user starts it, on two processes that Lightning launches."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from tests.helpers_ddp import LOOPBACK
from tests.runs import curve, overrides, tiny
from tests.swift import fit


@contextmanager
def started(folder: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """The command, running; it is ended if the test fails."""
    line = [sys.executable, "-m", "rim.fit", *overrides(folder, *more)]
    loopback = os.environ | {"GLOO_SOCKET_IFNAME": LOOPBACK}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(line, env=loopback, text=True, start_new_session=True, **pipes)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_for(folder: Path, updates: int, limit: float = 120) -> None:
    end = time.monotonic() + limit
    while not any(record["update"] >= updates for record in curve(folder)):
        assert time.monotonic() < end, f"update {updates} did not come within {limit} s"
        time.sleep(0.05)


def losses(folder: Path, updates: int) -> dict[int, float]:
    """Loss by update, up to one of them."""
    return {each["update"]: each["loss"] for each in curve(folder) if "loss" in each and each["update"] <= updates}


def test_two_processes_are_stopped_by_one_signal(tmp_path: Path) -> None:
    """SIGTERM goes to the first process alone; its losses up to there, over the switch, are those of one process."""
    still = "stages.1.dropout=0"  # noise depends on how an update is cut in passes
    long = (
        "run.name=two",
        "training.devices=2",
        "stages.1.duration=2000 steps",
        "training.save_every=500 steps",
        still,
    )
    with started(tmp_path, *long, "training.validate_every=1000 steps") as process:
        wait_for(tmp_path / "two", 20)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    assert "Traceback" not in err
    updates = curve(tmp_path / "two")[-1]["update"]
    assert out.endswith(f"stopped by SIGTERM after update {updates}; repeat the command to go on\n")
    assert out.count("stopped by SIGTERM") == 1
    assert out.count("batch         8 examples an update on 2 device(s), lines of 96 tokens") == 1
    assert fit(tiny(tmp_path, "run.name=one", still)) == 0
    assert losses(tmp_path / "two", 20) == pytest.approx(losses(tmp_path / "one", 20), rel=1e-5)


def test_training_whose_output_nobody_reads_any_more_saves_and_leaves_quietly(tmp_path: Path) -> None:
    """`python -m rim.fit … | head` on two processes: head has gone after the first line of progress."""
    long = ("run.name=unread", "training.devices=2", "stages.1.duration=2000 steps", "training.save_every=500 steps")
    with started(tmp_path, *long) as process:
        assert process.stdout is not None and process.stderr is not None
        while not process.stdout.readline().startswith("grounding: update 5/12"):
            assert process.poll() is None, process.stderr.read()
        process.stdout.close()
        assert process.wait(timeout=120) == 141
        with process.stderr as errors:
            err = errors.read()
    assert "Traceback" not in err and "BrokenPipe" not in err, err
    saved = torch.load(tmp_path / "unread" / "resume.ckpt")["rim"]["updates"]
    assert saved == curve(tmp_path / "unread")[-1]["update"] == 10
