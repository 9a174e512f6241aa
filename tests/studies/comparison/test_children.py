"""Runs as processes: places, order, failures, logs, signals. A script of a few lines stands in for `rim.fit`."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rim.base.errors import UserError
from rim.runs.children import Job, Stopped
from rim.runs.holder import RunBusy
from rim.runs.lock import log_of
from rim.runs.machine import Machine
from rim.settings import Training
from rim.studies.comparison.children import Failure, Pool, check_free
from rim.studies.comparison.plan import PlannedRun
from rim.studies.comparison.settings import Budget, Comparison, Entry

FIT = """
import json, os, signal, sys, time
from pathlib import Path
folder, kind = Path(sys.argv[1]), sys.argv[2]
folder.mkdir(parents=True)
(folder / "began").write_text(json.dumps({"time": time.time(), "threads": os.environ.get("OMP_NUM_THREADS")}))
def leave(*_):
    print("saved", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, leave)
print("hello from", kind, flush=True)
if kind == "bad":
    print("line 1\\rline 2\\nerror: too much", file=sys.stderr)
    sys.exit(3)
if kind == "slow":
    time.sleep(60)
while kind.startswith("meets") and len([*folder.parent.parent.glob("meets*/*/began")]) < 2:
    time.sleep(0.02)
time.sleep(0.1)
(folder / "result.json").write_text("{}")
(folder / "ended").write_text(str(time.time()))
"""


def run(folder: Path, name: str, start: str | None = None) -> PlannedRun:
    entries = [Entry(name, start=start), *([Entry(start)] if start else [])]
    return PlannedRun(Comparison("x", str(folder), entries=entries), Budget("u", 1), entries[0], 0)


class Watch:
    """A pool and what it has reported."""

    def __init__(self, runs: list[PlannedRun], places: int) -> None:
        self.started: list[str] = []
        self.finished: list[str] = []
        machine = Machine(places, [Training(accelerator="cpu")])
        self.pool = Pool(
            list(runs), machine, self.job, lambda run, _: self.started.append(run.entry.name),
            lambda run, _: self.finished.append(run.entry.name),
        )  # fmt: skip

    def job(self, run: PlannedRun) -> Job:
        if run.entry.name == "refused":
            raise UserError("no such thing")
        return Job([sys.executable, "-c", FIT, str(run.folder), run.entry.name], "one update")


@contextmanager
def once_it_speaks(run: PlannedRun, act: Callable[[], None]) -> Iterator[None]:
    """Acts, on a thread beside the body, when the run's log has its first line."""

    def wait() -> None:
        while not log_of(run.folder).exists() or "hello" not in log_of(run.folder).read_text():
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    yield
    thread.join()


def times(run: PlannedRun) -> tuple[float, float]:
    return json.loads((run.folder / "began").read_text())["time"], float((run.folder / "ended").read_text())


@pytest.mark.parametrize("places", [1, 2])
def test_as_many_at_once_as_there_are_places(tmp_path: Path, places: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setattr("rim.runs.machine.usable_cores", lambda: 8)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # nobody else is at work
    names = ["a", "b", "c", "d"] if places == 1 else ["meets1", "meets2", "c", "d"]  # who meets ends when both run
    runs = [run(tmp_path, name) for name in names]
    watch = Watch(runs, places)
    assert watch.pool.work() == [] and watch.started == names and sorted(watch.finished) == sorted(names)
    spans = [times(each) for each in runs]
    assert max(sum(begin <= at < end for begin, end in spans) for at, _ in spans) == places
    threads = {json.loads((each.folder / "began").read_text())["threads"] for each in runs}
    assert threads == {"7" if places == 1 else "4"}


def test_a_run_waits_for_the_one_that_it_starts_from(tmp_path: Path) -> None:
    after, first, other = run(tmp_path, "after", start="first"), run(tmp_path, "first"), run(tmp_path, "other")
    watch = Watch([after, first, other], 2)
    assert watch.pool.work() == [] and watch.started == ["first", "other", "after"]
    assert times(first)[1] <= times(after)[0]


def test_a_failure_stops_what_depends_on_it_and_nothing_else(tmp_path: Path) -> None:
    runs = [run(tmp_path, name) for name in ("bad", "good", "refused")] + [
        run(tmp_path, "after", start="bad"), run(tmp_path, "later", start="after"),
    ]  # fmt: skip
    watch = Watch(runs, 1)
    found = {failure.run.entry.name: failure.reason for failure in watch.pool.work()}
    assert watch.finished == ["good"] and sorted(found) == ["after", "bad", "later", "refused"]
    assert found["bad"].split("\n") == [
        f"exit status 3; {log_of(runs[0].folder)} ends with",
        "    hello from bad", "    line 1", "    line 2", "    error: too much",
    ]  # fmt: skip
    assert found["refused"] == "no such thing"
    assert found["after"] == f"it starts from {runs[0].folder}, which has failed"
    assert not runs[3].folder.exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_children_save_and_starts_no_more(tmp_path: Path, number: signal.Signals) -> None:
    runs = [run(tmp_path, "slow"), run(tmp_path, "next")]
    before = signal.getsignal(number)

    with once_it_speaks(runs[0], lambda: os.kill(os.getpid(), number)), pytest.raises(Stopped):
        Watch(runs, 1).pool.work()
    assert log_of(runs[0].folder).read_text() == "hello from slow\nsaved\n" and not runs[1].folder.exists()
    assert signal.getsignal(number) is before


def test_a_child_that_another_stopped_is_a_failure(tmp_path: Path) -> None:
    slow = run(tmp_path, "slow")
    watch = Watch([slow], 1)
    with once_it_speaks(slow, lambda: watch.pool.running[0].process.terminate()):
        (failure,) = watch.pool.work()
    assert failure == Failure(slow, failure.reason) and failure.reason.startswith("exit status 143; ")


def test_a_log_grows_when_a_run_resumes(tmp_path: Path) -> None:
    good = run(tmp_path, "good")
    log_of(good.folder).parent.mkdir(parents=True)
    log_of(good.folder).write_text("before\n")
    Watch([good], 1).pool.work()
    assert log_of(good.folder).read_text() == "before\nhello from good\n"


def test_a_run_whose_parent_was_killed_is_not_started_twice(tmp_path: Path) -> None:
    """The child holds its log locked after the one who opened it is gone."""
    slow = run(tmp_path, "slow")
    log_of(slow.folder).parent.mkdir(parents=True)
    parent = (
        "import sys; from pathlib import Path; from rim.runs.children import Job, launch\n"
        "from rim.runs.lock import locked; from rim.runs.machine import Share\n"
        "with locked(Path(sys.argv[1])) as log: print(launch(Job(sys.argv[2:], ''), log, Share((), 1)).pid)"
    )
    words = [sys.executable, "-c", FIT, str(slow.folder), "slow"]
    done = subprocess.run(
        [sys.executable, "-c", parent, str(log_of(slow.folder)), *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    try:
        with pytest.raises(RunBusy) as error:
            check_free([run(tmp_path, "other"), slow])
        assert f"{slow.folder} is being trained by another process" in str(error.value)
        assert [failure.reason for failure in Watch([slow], 1).pool.work()] == [str(error.value)]
    finally:
        os.kill(int(done.stdout), signal.SIGKILL)
    for _ in range(100):
        try:
            check_free([slow])
            break
        except RunBusy:
            time.sleep(0.05)
    check_free([slow])
