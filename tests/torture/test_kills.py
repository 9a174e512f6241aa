"""Runs that are killed, whose checkpoint is cut short, and whose clock jumps: each ends on the uninterrupted curve, or
says what to do, and nothing that was saved is lost."""

import os
import random
import shutil
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

import rim.fit as command
from rim.runs.folder import RunFolder
from rim.training.module import RimModule
from tests.runs import curve, overrides, tiny, weights
from tests.swift import fit
from tests.torture.conftest import END, SHORT
from tests.torture.scale import KILLS
from tests.training.children import fit_in_child
from tests.training.test_resume import scalars


def assert_same_run(folder: Path, whole: Path) -> None:
    """Curve, choice and weights, bit by bit."""
    assert curve(folder) == curve(whole)
    assert (folder / "selection.json").read_text() == (whole / "selection.json").read_text()
    for file in (whole / "weights").iterdir():
        torch.testing.assert_close(weights(folder, file.stem), weights(whole, file.stem), rtol=0, atol=0)


def saved(folder: Path) -> int:
    """Updates in the file that a run goes on from; 0: none yet."""
    file = folder / "resume.ckpt"
    return torch.load(file)["rim"]["updates"] if file.exists() else 0


@dataclass(frozen=True)
class Kill:
    """A patch: SIGKILL some seconds after an update has begun, wherever the run is by then."""

    update: int
    seconds: float

    def __call__(self) -> None:
        step = RimModule.training_step

        def struck(module: RimModule, *batch: Any) -> None:
            if module.updates + 1 >= self.update and not any(isinstance(each, threading.Timer) for each in timers()):
                timer = threading.Timer(self.seconds, os.kill, (os.getpid(), signal.SIGKILL))
                timer.daemon = True
                timer.start()
            step(module, *batch)

        RimModule.training_step = struck  # type: ignore[method-assign]


def timers() -> list[threading.Thread]:
    return threading.enumerate()


def test_kills_at_random_moments_over_both_stages(whole: Path, tmp_path: Path) -> None:
    """In updates, validations and writes; the run may end before a late one."""
    draw = random.Random(7)
    moments = sorted((draw.randint(1, END), draw.uniform(0, 0.3)) for _ in range(KILLS))
    line, folder, before = overrides(whole.parent, *SHORT, "run.name=killed"), whole.parent / "killed", 0
    for update, seconds in moments:
        ended = fit_in_child(tmp_path, line, Kill(update, seconds))
        assert ended.status in (-signal.SIGKILL, 0), f"{update} + {seconds:.3f} s: {ended.output}"
        assert before <= (before := saved(folder))
        assert "Traceback" not in ended.output
    last = fit_in_child(tmp_path, line)
    assert last.status == 0, last.output
    assert_same_run(folder, whole)
    assert not list(folder.parent.glob(".killed.lock"))


def test_a_checkpoint_that_was_cut_short_is_said(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """RiM writes it whole or not at all; a disk may lose a part of it."""
    folder, line = whole.parent / "cut", overrides(whole.parent, *SHORT, "run.name=cut")
    shutil.copytree(whole, folder)
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("name: whole", "name: cut"))
    for name in ("result.json", "report.md"):
        (folder / name).unlink()
    resume = folder / "resume.ckpt"
    for size in (0, 100, resume.stat().st_size // 2):
        os.truncate(resume, size)
        with pytest.raises(SystemExit):
            command.main(line)
        error = capsys.readouterr().err
        assert (
            error.startswith(f"error: {resume} is damaged, from which the run would go on (") and "remove it" in error
        )
    assert RunFolder(folder).load_backbone()[1]["update"], "the checkpoints are as they were"
    resume.unlink()
    assert command.main(line) == 0
    assert_same_run(folder, whole)


def test_a_clock_that_jumps_back(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a day in the middle of a run, and again when it goes on."""
    now, step, jump = time.time, RimModule.training_step, [0.0]

    def stepped(module: RimModule, *batch: Any) -> None:
        jump[0] = 86_400.0 * module.updates
        if module.updates == 9 and not (whole.parent / "clock" / "resumed").exists():
            (whole.parent / "clock" / "resumed").touch()
            raise InterruptedError
        step(module, *batch)

    monkeypatch.setattr(time, "time", lambda: now() - jump[0])
    monkeypatch.setattr(RimModule, "training_step", stepped)
    config = tiny(whole.parent, *SHORT, "run.name=clock")
    with pytest.raises(InterruptedError):
        fit(config)
    assert fit(config) == 0
    assert_same_run(whole.parent / "clock", whole)
    assert scalars(whole.parent / "clock") == scalars(whole)
