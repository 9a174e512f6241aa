"""Workers on one study, as threads and as processes: no point is lost or run twice, whatever becomes of a worker."""

import io
import os
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, redirect_stdout
from pathlib import Path
from tempfile import NamedTemporaryFile

import optuna
import pytest

from rim import sweep
from rim.report.proportion import Proportion
from rim.studies.sweeps import publish, trial
from rim.studies.sweeps.outcome import SweepResult
from tests.studies.sweeps import stub
from tests.studies.sweeps.stub import ran, write
from tests.warm import Warm

KINDS = "kind:\n  good: []\n  {0}: [training.clip=2]"


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[SweepResult]:
    """Scripts stand in for runs; the results that were to be published."""
    found: list[SweepResult] = []

    def keep(result: SweepResult, folder: Path, study: optuna.Study | None) -> str:
        found.append(result)
        return f"report of {len(result.points)} points"

    monkeypatch.setattr(trial, "command", lambda run: stub.command(tmp_path, run))
    monkeypatch.setattr(publish, "publish", keep)
    return found


def run(*words: object) -> tuple[int, str]:
    """The command's exit status and what it prints."""
    out = io.StringIO()
    with redirect_stdout(out):
        status = sweep.main([str(word) for word in words])
    return status, out.getvalue()


def start(root: Path, *words: object, grace: int = 60) -> Warm:
    """The command as a process."""
    line = [sys.executable, "-m", "tests.studies.sweeps.stub", str(root), *map(str, words)]
    with NamedTemporaryFile(dir=root, prefix="output-", delete=False) as output:
        return Warm(line, output, {**os.environ, "GRACE": str(grace)})


def until(reached: Callable[[], bool]) -> None:
    """Wait for something that other processes do."""
    end = time.monotonic() + 60
    while not reached():
        assert time.monotonic() < end
        time.sleep(0.02)


def trials(folder: Path, name: str = "s") -> list[optuna.trial.FrozenTrial]:
    """What the study holds."""
    return optuna.load_study(study_name=name, storage=f"sqlite:///{folder}/s/study.db").get_trials()


def states(folder: Path) -> list[str]:
    """States of the trials of all studies, read without what opening a study takes."""
    with closing(sqlite3.connect(f"file:{folder}/s/study.db?mode=ro", uri=True, timeout=60)) as database:
        return [state for (state,) in database.execute("SELECT state FROM trials ORDER BY trial_id")]


def counted(folder: Path, name: str = "s") -> Counter[str]:
    """States of the trials that count."""
    return Counter(each.state.name for each in trials(folder, name) if "aside" not in each.user_attrs)


def test_processes_share_a_queue_and_run_every_point_once(tmp_path: Path) -> None:
    file = write(tmp_path, f"memory.blocks: {[*range(1, 16)]}", ["baselines: {direct: [method.name=direct]}"])
    workers = [start(tmp_path, "--config", file, "--jobs", jobs) for jobs in (1, 1, 2)]
    texts = [worker.communicate(timeout=100)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0, 0], "\n".join(texts)
    assert sorted(ran(tmp_path)) == sorted([*(f"blocks-{n}/seed-0" for n in range(1, 16)), "direct/seed-0"])
    assert counted(tmp_path) == {"COMPLETE": 15} and counted(tmp_path, "s/baselines") == {"COMPLETE": 1}
    assert all("report of 15 points" in text for text in texts), "who ends first waits for what is under way"
    assert not [*(tmp_path / "s" / "workers").iterdir()]


def test_what_a_killed_worker_had_is_taken_up_by_the_others_at_once(tmp_path: Path) -> None:
    """Its run has outlived it, and is waited for: it is not run a second time."""
    file = write(tmp_path, KINDS.format("slow"))
    log = tmp_path / "s" / "kind-slow" / "seed-0.log"
    first = start(tmp_path, "--config", file)
    until(lambda: log.exists() and "began" in log.read_text())
    first.kill()
    first.communicate(timeout=60)
    second = start(tmp_path, "--config", file)
    until(lambda: "FAIL" in states(tmp_path))
    (tmp_path / "go").touch()
    text, _ = second.communicate(timeout=60)
    assert second.returncode == 0 and "[2/2] finished kind-slow" in text, text
    assert sorted(ran(tmp_path)) == ["kind-good/seed-0", "kind-slow/seed-0"] and log.read_text() == "began\n"
    found = [(each.user_attrs["point"], each.state.name) for each in trials(tmp_path)]
    assert found == [("kind-good", "COMPLETE"), ("kind-slow", "FAIL"), ("kind-slow", "COMPLETE")]


def test_what_a_killed_worker_had_elsewhere_is_taken_up_after_its_grace(tmp_path: Path) -> None:
    """Two folders and one storage stand for two machines."""
    address = f"storage: sqlite:///{tmp_path}/shared.db"
    files = [write(folder, KINDS.format("slow"), [address]) for folder in (tmp_path / "a", tmp_path / "b")]
    first = start(tmp_path / "a", "--config", files[0], grace=3)
    until(lambda: (tmp_path / "a" / "s" / "kind-slow" / "seed-0.log").exists())
    first.kill()
    first.communicate(timeout=60)
    (tmp_path / "a" / "go").touch()
    (tmp_path / "b" / "go").touch()
    text, _ = start(tmp_path / "b", "--config", files[1], grace=3).communicate(timeout=60)
    assert text.startswith("1 of 2 trials are done") and "[2/2] finished kind-slow" in text, text
    assert ran(tmp_path / "b") == ["kind-slow/seed-0"]


def test_a_signal_lets_runs_save_and_a_repeated_command_resumes(tmp_path: Path, reports: list[SweepResult]) -> None:
    file = write(tmp_path, KINDS.format("slow"))
    log = tmp_path / "s" / "kind-slow" / "seed-0.log"

    def interrupt() -> None:
        until(lambda: log.exists() and "began" in log.read_text())
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=interrupt)
    thread.start()
    status, text = run("--config", file)
    thread.join()
    assert status == 143 and text.endswith("stopped by a signal: 1 of 2 trials are done; repeat the command to go on\n")
    assert log.read_text() == "began\nsaved\n" and not reports
    assert [each.state.name for each in trials(tmp_path)] == ["COMPLETE", "FAIL", "WAITING"]
    (tmp_path / "go").touch()
    status, text = run("--config", file)
    assert status == 0 and text.startswith("1 of 2 trials are done; 1 side by side\n[2/2] started  kind-slow: 1 seed; ")
    assert log.read_text() == "began\nsaved\nresumed\n" and len(reports[0].points) == 2


def test_a_finished_study_trains_nothing_and_reports_at_once(tmp_path: Path, reports: list[SweepResult]) -> None:
    file = write(tmp_path, "memory.blocks: [1, 2]", ["baselines: {direct: [method.name=direct]}"])
    run("--config", file, "seeds=[0,1]")
    before = ran(tmp_path)
    status, text = run("--config", file, "seeds=[0,1]")
    assert status == 0 and text.startswith("3 of 3 trials are done; 1 side by side\n\nreport of 2 points\n")
    assert ran(tmp_path) == before and len(before) == 6
    assert text.endswith(f"optuna-dashboard sqlite:///{tmp_path}/s/study.db\n")
    assert run("--config", file, "seeds=[0,1]", "--report")[0] == 0
    assert reports[0] == reports[1] == reports[2]


def test_what_is_reported_stands_in_the_study(tmp_path: Path, reports: list[SweepResult]) -> None:
    file = write(tmp_path, "memory.blocks: [1, 2]", ["baselines: {direct: [method.name=direct]}", "question: why?"])
    run("--config", file, "seeds=[0,1]")
    for path in (tmp_path / "s").glob("blocks*/*/result.json"):
        path.unlink()  # as on another machine
    run("--config", file, "seeds=[0,1]", "--report")
    (_, result), (one, two) = reports, reports[1].points
    assert (result.name, result.question, result.metric, result.sampler) == ("s", "why?", "validation", "grid")
    assert [axis.values for axis in result.axes] == [(1, 2)] and (one.values, two.values) == (
        {"memory.blocks": 1}, {"memory.blocks": 2},
    )  # fmt: skip
    assert one.overrides == ("memory.blocks=1",) and (two.blocks, two.state) == (2, "complete")
    assert result.baselines["direct"].blocks is None and result.baselines["direct"].finished
    first, second = one.seeds
    assert first.scores == {"validation": Proportion(11, 100), "tracking/test": Proportion(10, 100)}
    assert first.read_with == {"tracking/test": {16: Proportion(10, 100)}} and first.minutes == 0.1
    assert (second.seed, second.updates, second.flops) == (1, 100, 5e9) and second.folder.endswith("blocks-1/seed-1")
    values = [each.value for each in trials(tmp_path)]
    assert values == [pytest.approx(0.16)] * 2, "the mean of the validation accuracies of both seeds"


def test_a_run_that_fails_fails_its_trial_alone_and_is_tried_again(tmp_path: Path, reports: list[SweepResult]) -> None:
    file = write(tmp_path, KINDS.format("bad"), ["jobs: 2"])
    status, text = run("--config", file)
    log = tmp_path / "s" / "kind-bad" / "seed-0.log"
    assert status == 1 and text.endswith(
        f"1 of 2 trials failed:\nkind-bad: exit status 3; {log} ends with\n    began\n    error: too much\n"
        "Repeat the command to try them again; what is done stays.\n"
    )
    assert ran(tmp_path) == ["kind-good/seed-0"] and reports[0].notes == (
        "Failed, and not in these numbers: kind-bad.",
    )
    assert [point.state for point in reports[0].points] == ["complete", "failed"]
    (tmp_path / "mended").touch()
    assert run("--config", file)[0] == 0 and ran(tmp_path) == ["kind-good/seed-0", "kind-bad/seed-0"]
    assert [point.state for point in reports[1].points] == ["complete", "complete"] and reports[1].notes == ()


def test_seeds_that_are_done_are_not_run_again_when_a_later_one_fails(
    tmp_path: Path, reports: list[SweepResult]
) -> None:
    file = write(tmp_path, "memory.blocks: [1, 2]")
    broken = tmp_path / "s" / "blocks-2" / "seed-1"
    broken.parent.mkdir(parents=True)
    broken.write_text("no folder can be here")
    assert run("--config", file, "seeds=[0,1]")[0] == 1
    assert [len(point.seeds) for point in reports[0].points] == [2, 1]
    broken.unlink()
    assert run("--config", file, "seeds=[0,1]")[0] == 0
    assert sorted(ran(tmp_path)) == [f"blocks-{n}/seed-{seed}" for n in (1, 2) for seed in (0, 1)]


def test_a_hopeless_trial_is_given_up(tmp_path: Path, reports: list[SweepResult]) -> None:
    """By the median of five others at the same update."""
    strong = "".join(f"\n  strong{n}: [training.clip={n}]" for n in range(2, 7))
    file = write(tmp_path, f"kind:{strong}\n  weak: [training.clip=9]", ["pruner: median"])
    status, text = run("--config", file)
    log = tmp_path / "s" / "kind-weak" / "seed-0.log"
    assert (
        status == 0 and "given up kind-weak: hopeless after update 10\n" in text and log.read_text() == "began\nsaved\n"
    )
    weak = reports[0].points[-1]
    assert (weak.values, weak.state, weak.pruned_at, weak.seeds) == ({"kind": "weak"}, "pruned", 10, ())
    assert [each.intermediate_values for each in trials(tmp_path)][4:] == [{10: 0.9, 20: 0.9}, {10: 0.1}]
    assert run("--config", file)[1].startswith("6 of 6 trials are done"), "what was given up stays so"


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_points_are_counted_over_all_workers(sampler: str, tmp_path: Path) -> None:
    axes = "memory.blocks: {low: 1, high: 64}\nstages.*.learning_rate: {low: 1e-5, high: 1e-3, log: true}"
    file = write(tmp_path, axes, [f"sampler: {sampler}", "trials: 6"])
    workers = [start(tmp_path, "--config", file, "--jobs", jobs) for jobs in (1, 2)]
    texts = [worker.communicate(timeout=100)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], "\n".join(texts)
    assert counted(tmp_path) == {"COMPLETE": 6} and len({*ran(tmp_path)}) == len(ran(tmp_path)) == 6
    found = [each.params for each in trials(tmp_path) if each.state.name == "COMPLETE"]
    assert all(1 <= each["memory.blocks"] <= 64 and 1e-5 <= each["stages.*.learning_rate"] <= 1e-3 for each in found)


def test_more_trials_go_on_where_fewer_have_ended(tmp_path: Path, reports: list[SweepResult]) -> None:
    for sampler in ("tpe", "random"):
        (tmp_path / sampler).mkdir()
        file = write(tmp_path / sampler, "training.clip: {low: 0.5, high: 2}", [f"sampler: {sampler}"])
        assert run("--config", file, "trials=3")[0] == 0
        before = ran(tmp_path)
        assert run("--config", file, "trials=5")[0] == 0
        assert ran(tmp_path)[: len(before)] == before and len(ran(tmp_path)) == len(before) + 2
        assert len(reports[-1].points) == 5


def test_no_trial_begins_after_the_hours(tmp_path: Path, reports: list[SweepResult]) -> None:
    file = write(tmp_path, "memory.blocks: [1, 2]", ["hours: 1e-9"])
    assert run("--config", file)[0] == 0 and ran(tmp_path) == []
    assert run("--config", file, "hours=null")[0] == 0 and len(ran(tmp_path)) == 2
