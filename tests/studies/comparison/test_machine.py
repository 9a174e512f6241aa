"""Devices and cores are shared out among runs side by side: GPUs apart, cores by number, with other commands, too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rim.runs import machine
from rim.runs.machine import Machine, Share
from rim.settings import Training


@pytest.fixture(autouse=True)
def eight_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And nobody else at work on them."""
    monkeypatch.setattr(machine, "usable_cores", lambda: 8)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


def shares(jobs: int | None, *trainings: Training) -> list[Share]:
    made = Machine(jobs, trainings)
    return [made.share(place) for place in range(made.jobs)]


def given_gpus(monkeypatch: pytest.MonkeyPatch, count: int, visible: str | None = None) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)


def test_each_run_sees_its_own_gpu_and_there_are_as_many_runs_as_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    given_gpus(monkeypatch, 4)
    assert shares(None, Training()) == [Share((name,), 2) for name in "0123"]
    assert shares(2, Training()) == [Share(("0",), 4), Share(("1",), 4)]
    assert shares(8, Training())[4] == Share(("0",), 1), "more runs than GPUs take turns on them"


def test_names_of_gpus_are_those_that_this_process_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given_gpus(monkeypatch, 2, "GPU-7a,GPU-9b")
    assert [share.gpus for share in shares(None, Training())] == [("GPU-7a",), ("GPU-9b",)]
    assert Share(("GPU-9b",), 3).environment()["CUDA_VISIBLE_DEVICES"] == "GPU-9b"


def test_a_run_on_several_gpus_has_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    given_gpus(monkeypatch, 5)
    assert shares(None, Training(devices=2), Training()) == [Share(("0", "1"), 2), Share(("2", "3"), 2)]
    assert shares(None, Training(devices=8)) == [Share(("0", "1", "2", "3", "4"), 1)], "the run says what is missing"


def test_on_the_cpu_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    given_gpus(monkeypatch, 4)
    on_cpu = Training(accelerator="cpu")
    assert shares(None, on_cpu) == [Share((), 8)] and shares(3, on_cpu) == [Share((), 2)] * 3
    assert shares(2, Training(accelerator="cpu", devices=2)) == [Share((), 2)] * 2
    assert shares(20, on_cpu)[0].threads == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert [share.threads for share in shares(2, on_cpu) + shares(4, on_cpu)] == [3, 3, 2, 2, 2, 2]


AT_WORK = """
import sys, tempfile, time
tempfile.tempdir = sys.argv[1]
from rim.runs.machine import Machine
from rim.settings import Training
with Machine(3, [Training(accelerator="cpu")]).at_work():
    print("works", flush=True)
    time.sleep(60)
"""


def test_two_commands_share_the_cores(tmp_path: Path) -> None:
    """As long as both live; one that was killed leaves its share."""
    own = Machine(1, [Training(accelerator="cpu")])
    words = [sys.executable, "-c", AT_WORK, str(tmp_path)]
    with own.at_work():
        assert own.share(0).threads == 8
        with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
            assert other.stdout is not None and other.stdout.readline() == b"works\n"
            assert own.share(0).threads == 2
            other.kill()
        assert own.share(0).threads == 8
        assert [path.name for path in tmp_path.glob("*/*")] == [str(os.getpid())]
    assert not [*tmp_path.glob("*/*")]


def test_a_run_is_no_process_of_those_that_a_launcher_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """`srun --ntasks=4 python -m rim.sweep` starts four workers, each of whose runs trains alone."""
    monkeypatch.setenv("SLURM_NTASKS", "4")
    monkeypatch.setenv("SLURM_PROCID", "2")
    environment = Share((), 1).environment()
    assert not {"SLURM_NTASKS", "SLURM_PROCID"} & environment.keys() and environment["OMP_NUM_THREADS"] == "1"
