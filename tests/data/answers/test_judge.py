"""The process that compares mathematics: its limit, in threads and processes, and what happens when it ends."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rim.data.answers.judge import Judge

ENDLESS = "10^{10^{10}}"


@pytest.fixture(scope="module")
def shared() -> Iterator[Judge]:
    judge = Judge(seconds=1)
    yield judge
    judge.close()


def test_a_comparison_that_does_not_end_is_wrong_counted_and_logged(
    shared: Judge, caplog: pytest.LogCaptureFixture
) -> None:
    before = shared.undecided
    with caplog.at_level(logging.WARNING):
        assert not shared.equal(ENDLESS, "3x")
    assert shared.undecided == before + 1
    assert f"no verdict within 1 s on whether '{ENDLESS}' is '3x': it counts as wrong" in caplog.text
    assert shared.equal("x+1", "1+x") and shared.undecided == before + 1


def test_threads_share_one_process_and_get_their_own_verdicts(shared: Judge) -> None:
    pairs = [(f"x+{n}", f"{n % 3}+x") for n in range(12)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda pair: shared.equal(*pair), pairs))
    assert found == [n == n % 3 for n in range(12)]


def test_a_process_that_somebody_ended_is_started_again(shared: Judge) -> None:
    assert shared.equal("2x", "x+x")
    before, child = shared.undecided, shared._child
    assert child is not None
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert shared.equal("2x", "x+x") and shared.undecided == before and shared._child is not child


FORKS = """
import multiprocessing
from threading import Thread
from rim.data.answers import grade

def graded(queue):
    queue.put([grade("latex", "x+1", "1+x"), grade("latex", "x+2", "1+x")])

if __name__ == "__main__":
    assert grade("latex", "2x", "x+x")
    for method in ("fork", "spawn"):
        context = multiprocessing.get_context(method)
        queue = context.Queue()
        worker = context.Process(target=graded, args=(queue,), daemon=True)
        worker.start()
        assert queue.get(timeout=100) == [True, False], method
        worker.join()
        assert grade("latex", method[0] + "+1", "1+" + method[0])
    found = []
    thread = Thread(target=lambda: found.append(grade("latex", "3x", "x+2x")))
    thread.start()
    thread.join()
    assert found == [True]
"""


def test_worker_processes_ask_a_process_of_their_own(tmp_path: Path) -> None:
    script = tmp_path / "forks.py"
    script.write_text(FORKS, encoding="utf-8")
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, str(script)], env=os.environ | {"PYTHONPATH": str(root)}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_process_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "math_verify.py").write_text("raise ImportError('no such library')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(RuntimeError, match=r"since the process for it ended:\n(.|\n)*no such library"):
        Judge().equal("x", "y")
