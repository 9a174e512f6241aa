"""Processes of several machines (gloo, on this one) make the curve and the choice of one process.

They are started from outside, with the variables that torchrun and SLURM set.
"""

import json
import signal
from pathlib import Path

import pytest

from rim.training.run import fit
from tests.runs import curve, overrides, tiny
from tests.training.children import Ended, Strike, fit_in_child, fit_together, slurm, torchrun
from tests.training.test_two_processes import assert_close

SHORT = (
    *("backbone.scratch.width=16", "data.tracking.train_rows=40", "stages.*.dropout=0", "evaluation.controls=[]"),
    *("stages.0.duration=5 steps", "stages.1.duration=4 steps", "training.validate_every=3 steps", "data.test_rows=2"),
)
FOUR = ("training.nodes=2", "training.devices=2")


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process, beside which others can be made."""
    folder = tmp_path_factory.mktemp("nodes")
    assert fit(tiny(folder, *SHORT, "run.name=one")) == 0
    return folder / "one"


def line(one: Path, name: str, *more: str) -> list[str]:
    return overrides(one.parent, *SHORT, f"run.name={name}", *more)


def statuses(ended: list[Ended]) -> list[int | None]:
    return [each.status for each in ended]


def assert_same_run(folder: Path, one: Path) -> None:
    """Curve and choice of checkpoints."""
    assert_close(curve(folder), curve(one))
    assert json.loads((folder / "selection.json").read_text()) == json.loads((one / "selection.json").read_text())


def test_two_nodes_of_two_processes_of_which_one_is_killed(one: Path, tmp_path: Path) -> None:
    """All end, and say why; four go on where they stopped, and one process goes on from them."""
    folder = one.parent / "four"
    killed = fit_together(tmp_path, line(one, "four", *FOUR), torchrun(2, 2), Strike("add_gradient", 4, rank=3))
    assert statuses(killed) == [2, 2, 2, -signal.SIGKILL], killed
    for rank, each in enumerate(killed[:3]):
        assert f"error: process {rank} of 4 has lost contact with another one, which has ended, was" in each.output
        assert "The last checkpoint is intact: repeat the command" in each.output and "Traceback" not in each.output
    assert "8 examples an update on 2 machines of 2 device(s)" in killed[0].output and "batch" not in killed[1].output

    stop = Strike("on_train_batch_end", 7, signal.SIGTERM, rank=2)
    stopped = fit_together(tmp_path, line(one, "four", *FOUR), torchrun(2, 2), stop)
    assert statuses(stopped) == [143, 0, 0, 0], stopped
    assert "resumed       after update 4 of 9" in stopped[0].output

    last = fit_in_child(tmp_path, line(one, "four"))
    assert last.status == 0 and "resumed       after update 8 of 9" in last.output, last.output
    assert_same_run(folder, one)


def test_tasks_of_slurm_have_one_first_process(one: Path, tmp_path: Path) -> None:
    """Begun by one process, the run goes on in two."""
    folder = one.parent / "tasks"
    begun = fit_in_child(tmp_path, line(one, "tasks"), Strike("on_train_batch_end", 4, signal.SIGKILL))
    assert begun.status == -signal.SIGKILL
    first, second = fit_together(tmp_path, line(one, "tasks", "training.devices=2"), slurm(2))
    assert first.status == second.status == 0, first.output + second.output
    assert "resumed       after update 4 of 9" in first.output and "## tracking/test" in first.output
    assert second.output == ""
    assert_same_run(folder, one)


def test_machines_that_do_not_share_the_run_folder(one: Path, tmp_path: Path) -> None:
    """Without it, one half would go on and the other begin."""
    places = torchrun(1, 2)
    stop = Strike("on_train_batch_end", 4, signal.SIGTERM)
    assert statuses(fit_together(tmp_path, line(one, "shared", "training.devices=2"), places, stop)) == [143, 0]
    apart = hide_the_folder
    first, second = fit_together(tmp_path, line(one, "shared", "training.devices=2"), places, apart)
    assert first.status == second.status == 2, first.output + second.output
    assert "finds a run folder with 0 updates done, and the first one with 5: run.folder must be one" in second.output
    assert first.output.endswith(second.output) and "error: process 1 of 2, on " in second.output


def hide_the_folder() -> None:
    """The second process has another run folder, as a machine has its own disk."""
    import os

    from rim.training import run

    make = run.RunFolder

    def other(path: Path) -> run.RunFolder:
        return make(path.with_name("other") if os.environ["RANK"] == "1" else path)

    run.RunFolder = other  # type: ignore[assignment,misc]
