"""One process trains a run: a second one is refused, whoever started the first, and loses nothing."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import pytest

from rim.base.files import SaveError
from rim.runs import lock
from rim.runs.holder import Holder, RunBusy, file_of, holder_of
from rim.runs.lock import alone, locked, log_of
from rim.training.run import fit
from tests.runs import tiny


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 0.0)


def test_a_second_process_is_refused_by_name(tmp_path: Path) -> None:
    run = tmp_path / "x"
    with alone(run):
        with pytest.raises(RunBusy) as error, alone(run):
            pass
        me = holder_of(run)
        assert me is not None and str(error.value) == (
            f"{run} is being trained by process {os.getpid()} on {socket.gethostname()} (since {me.since}): wait until "
            "it has finished, or stop it, then repeat the command; or choose another run.name"
        )
    with alone(run):
        pass
    assert os.listdir(tmp_path) == [], "a log that was made for its lock alone is gone"


def test_a_log_with_text_stays(tmp_path: Path) -> None:
    log_of(tmp_path / "x").write_text("before\n")
    with alone(tmp_path / "x"):
        pass
    assert log_of(tmp_path / "x").read_text() == "before\n"


CHILD = """
import sys, time
from pathlib import Path
from rim.runs.lock import alone
with alone(Path(sys.argv[1])):
    print("trains", flush=True)
    time.sleep(60)
"""


def test_a_child_takes_the_lock_that_its_log_holds(tmp_path: Path) -> None:
    """And keeps it when its parent has gone; one that was killed lets go of it."""
    run = tmp_path / "x"
    with locked(log_of(run)) as log:
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(run)], stdout=log)
    deadline = time.monotonic() + 60
    while "trains" not in log_of(run).read_text() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert log_of(run).read_text() == "trains\n"
    with pytest.raises(RunBusy), alone(run):
        pass
    child.kill()
    child.wait()
    with alone(run):
        pass


def test_waiting_for_one_that_is_about_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATIENCE_SECONDS", 30.0)
    words = [sys.executable, "-c", CHILD.replace("60", "0.5"), str(tmp_path / "x")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"trains\n"
        with alone(tmp_path / "x"):
            pass
    assert child.returncode == 0


def test_a_file_system_without_locks_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(*_: object) -> None:
        raise OSError(lock.NO_LOCKS[0], os.strerror(lock.NO_LOCKS[0]))

    monkeypatch.setattr(lock.fcntl, "flock", refused)
    with alone(tmp_path / "x"):
        pass
    note = f"note          {tmp_path} has no file locks: a file beside the run guards it\n"
    assert capsys.readouterr().out == note
    with alone(tmp_path / "x"):
        hold(tmp_path / "x", pid=1)
        with pytest.raises(RunBusy, match=f"trained by process 1 on {socket.gethostname()} "), alone(tmp_path / "x"):
            pass
    hold(tmp_path / "x", pid=GONE)
    with alone(tmp_path / "x"):
        pass


GONE = 2**22 + 1
"""No process has this number: Linux counts to 2**22."""


def hold(run: Path, **other: object) -> None:
    """The file of a process that trains a run, or has been killed at it."""
    file_of(run).write_text(json.dumps(asdict(Holder.here()) | other))


def test_what_a_killed_process_has_left_is_taken_over(tmp_path: Path) -> None:
    """Its number may be another process's by now: the lock tells that it is gone."""
    for pid in (GONE, 1):
        hold(tmp_path / "x", pid=pid)
        with alone(tmp_path / "x"):
            assert holder_of(tmp_path / "x") == Holder.here()


def test_a_process_of_another_machine_is_named(tmp_path: Path) -> None:
    """No lock of this machine tells whether it lives."""
    run = tmp_path / "x"
    hold(run, host="node-7", pid=12)
    with pytest.raises(RunBusy) as error, alone(run):
        pass
    assert f"{run} is being trained by process 12 on node-7 (since " in str(error.value)
    assert str(error.value).endswith(
        f"Whether it is still at work cannot be told from {socket.gethostname()}: if it was killed or its machine is "
        f"gone, remove {tmp_path}/.x.lock"
    )
    file_of(run).unlink()
    with alone(run):
        pass


def test_a_job_that_slurm_has_started_again_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On other machines than before; its first start is over."""
    run = tmp_path / "x"
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    for job, goes_on in {"7/0": True, "7/1": False, "8/0": False, "/0": False}.items():
        hold(run, host="node-7", job=job)
        with nullcontext() if goes_on else pytest.raises(RunBusy), alone(run):
            pass


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    words = r"file/x\.log could not be written: .*\. Make room, or write to another folder"
    with pytest.raises(SaveError, match=words), alone(tmp_path / "file" / "x"):
        pass


def test_fit_is_refused_beside_another_and_leaves_the_folder(tmp_path: Path) -> None:
    config = tiny(tmp_path, "run.name=busy")
    with locked(tmp_path / "busy.log"), pytest.raises(RunBusy, match="busy is being trained by another process"):
        fit(config)
    assert not (tmp_path / "busy").exists()
