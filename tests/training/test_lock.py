"""One process trains a run: a second one is refused, whoever started the first, and loses nothing."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rim.runs import lock
from rim.runs.lock import RunBusy, alone, locked, log_of
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
        assert str(error.value) == (
            f"{run} is being trained by another process (it holds {run}.log): wait until it has finished, or stop it, "
            "then repeat the command; or choose another run.name"
        )
    with alone(run):
        pass
    assert not log_of(run).exists(), "a log that was made for its lock alone is gone"


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


def test_waiting_for_one_that_is_about_to_end(tmp_path: Path) -> None:
    words = [sys.executable, "-c", CHILD.replace("60", "0.5"), str(tmp_path / "x")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdout.readline() == b"trains\n"
        with locked(log_of(tmp_path / "x"), patience=30):
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
    assert capsys.readouterr().out == f"note          {tmp_path} has no file locks: do not train a run twice at once\n"


def test_fit_is_refused_beside_another_and_leaves_the_folder(tmp_path: Path) -> None:
    config = tiny(tmp_path, "run.name=busy")
    with locked(tmp_path / "busy.log"), pytest.raises(RunBusy, match="busy is being trained by another process"):
        fit(config)
    assert not (tmp_path / "busy").exists()
