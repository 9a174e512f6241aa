"""The curve on disk: what a kill cut short is passed over, and a resumed run drops what it will repeat; and time."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from rim.training import logs
from rim.training.curriculum import Curriculum
from rim.training.logs import Curve, read_curve
from rim.training.module import RimModule
from rim.training.run import fit
from rim.training.saving import AtomicCheckpointIO
from tests.runs import tiny
from tests.training.test_nodes import SHORT


def test_resumed_curve_drops_what_will_be_repeated(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    assert read_curve(path) == []
    first = Curve(path, 0)
    for update in (1, 2, 3, 4):
        first.add({"update": update, "loss": 0.5})
    with open(path, "a") as file:
        file.write('{"update": 5, "lo')
    assert [record["update"] for record in read_curve(path)] == [1, 2, 3, 4]
    again = Curve(path, 3)
    again.add({"update": 4, "loss": 0.25})
    assert [(record["update"], record["loss"]) for record in read_curve(path)] == [
        (1, 0.5),
        (2, 0.5),
        (3, 0.5),
        (4, 0.25),
    ]


def test_line_that_was_cut_does_not_take_the_next_one_along(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    path.write_text('{"update": 1, "loss": 1.0}\n{"update": 2, "loss": 0.')
    curve = Curve(path, 1)
    curve.add({"update": 2, "loss": 0.5})
    assert read_curve(path) == [{"update": 1, "loss": 1.0}, {"update": 2, "loss": 0.5}]


def test_saving_is_neither_training_nor_waiting_for_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock on which an update takes a second, and everything that is saved a hundred."""
    now = [0.0]

    def takes(seconds: float, owner: type, name: str) -> None:
        method = getattr(owner, name)

        def timed(*arguments: Any, **more: Any) -> Any:
            now[0] += seconds
            return method(*arguments, **more)

        monkeypatch.setattr(owner, name, timed)

    takes(1.0, RimModule, "training_step")
    takes(100.0, Curriculum, "_save")
    takes(100.0, AtomicCheckpointIO, "save_checkpoint")
    monkeypatch.setattr(logs, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    assert fit(tiny(tmp_path, *SHORT)) == 0
    assert torch.load(tmp_path / "run" / "resume.ckpt")["callbacks"]["Logbook"] == {
        "seconds": 9.0, "wait": 0.0, "examples": 9 * 8,
    }  # fmt: skip
