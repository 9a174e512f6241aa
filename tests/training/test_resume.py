"""A run that is killed or stopped anywhere and repeated lands on the uninterrupted curve, update by update."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rim.training.datamodule import DataModule
from tests.runs import END, SWITCH, curve, overrides, weights
from tests.training.children import Patch, Strike, fit_in_child

KILLS = {
    "before any save": Strike("on_train_batch_end", 1),
    "between two saves": Strike("on_train_batch_end", 7),
    "scored but not saved": Strike("on_validation_epoch_end", 10),
    "last update of a stage, not yet scored": Strike("on_train_batch_end", SWITCH),
    "exactly at the switch": Strike("on_train_epoch_end", SWITCH),
    "first update of a stage": Strike("on_train_batch_end", SWITCH + 1),
    "in the middle of an update": Strike("add_gradient", 15),
    "after a save": Strike("on_train_batch_end", 18),
}


def assert_same_run(folder: Path, straight: Path) -> None:
    """Curve, choice, weights, counters and TensorBoard are those of the other run, bit by bit."""
    assert curve(folder) == curve(straight)
    assert (folder / "selection.json").read_text() == (straight / "selection.json").read_text()
    kept = {f"grounding-{n}" for n in ("best", "last", 3, 6, 9)} | {f"refinement-{n}" for n in ("best", "last", 15, 18)}
    assert {file.stem for file in (folder / "weights").iterdir()} == kept
    for name in kept:
        mine, other = weights(folder, name), weights(straight, name)
        assert mine.keys() == other.keys()
        assert all(torch.equal(mine[key], other[key]) for key in mine), name
    assert torch.load(folder / "resume.ckpt")["callbacks"]["Logbook"]["examples"] == END * 8
    assert scalars(folder) == scalars(straight)


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows: (update, value) by tag, without what depends on the machine."""
    events = EventAccumulator(str(folder)).Reload()
    tags = [tag for tag in events.Tags()["scalars"] if "per_second" not in tag and not tag.startswith("test_")]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}


def killed(straight: Path, tmp_path: Path, name: str, kills: list[str]) -> Path:
    """A run that is killed at each of some moments and repeated each time, then left to end."""
    line = overrides(straight.parent, f"run.name={name}")
    for moment in kills:
        ended = fit_in_child(tmp_path, line, KILLS[moment])
        assert ended.status == -signal.SIGKILL, f"{moment}: {ended.output}"
    last = fit_in_child(tmp_path, line)
    assert last.status == 0, last.output
    assert "resumed       after update" in last.output
    return straight.parent / name


def test_run_that_is_killed_at_the_switch_lands_on_the_uninterrupted_curve(straight: Path, tmp_path: Path) -> None:
    assert_same_run(killed(straight, tmp_path, "switch", ["exactly at the switch"]), straight)


def test_run_that_is_killed_everywhere_does_too(straight: Path, tmp_path: Path) -> None:
    assert_same_run(killed(straight, tmp_path, "everywhere", list(KILLS)), straight)


@pytest.mark.parametrize(
    ("strike", "saved"),
    [
        (Strike("add_gradient", 8, signal.SIGTERM), 9),  # between the two passes of update 9
        (Strike("on_train_batch_end", SWITCH, signal.SIGTERM), SWITCH),  # the stage is scored before it is left
        (Strike("on_train_batch_end", END, signal.SIGTERM), END),  # the test sets are scored when it goes on
    ],
)
def test_sigterm_saves_and_leaves(straight: Path, tmp_path: Path, strike: Strike, saved: int) -> None:
    line = overrides(straight.parent, f"run.name=stopped-{saved}")
    folder = straight.parent / f"stopped-{saved}"
    stopped = fit_in_child(tmp_path, line, strike)
    assert stopped.status == 143
    assert stopped.output.endswith(f"stopped by SIGTERM after update {saved}; repeat the command to go on\n")
    assert "Traceback" not in stopped.output
    assert torch.load(folder / "resume.ckpt")["rim"]["updates"] == saved
    assert curve(folder) == [record for record in curve(straight) if record["update"] <= saved]
    assert fit_in_child(tmp_path, line).status == 0
    assert_same_run(folder, straight)


def sigterm_while_loaders_are_made() -> None:
    make = DataModule.train_dataloader

    def struck(data: DataModule) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return make(data)

    DataModule.train_dataloader = struck  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("name", "patch"),
    [("early", Strike("configure_optimizers", 0, signal.SIGTERM)), ("loading", sigterm_while_loaders_are_made)],
)
def test_sigterm_during_set_up(straight: Path, tmp_path: Path, name: str, patch: Patch) -> None:
    """Before Lightning listens, and while it listens alone: it is kept for the end of the first update."""
    stopped = fit_in_child(tmp_path, overrides(straight.parent, f"run.name={name}"), patch)
    assert (stopped.status, "Traceback" in stopped.output) == (143, False), stopped.output
    assert stopped.output.endswith("stopped by SIGTERM after update 1; repeat the command to go on\n")
    assert torch.load(straight.parent / name / "resume.ckpt")["rim"]["updates"] == 1
