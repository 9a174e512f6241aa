"""Uninterrupted runs that the others are compared with."""

from pathlib import Path

import pytest

from tests.runs import tiny
from tests.swift import fit, swiftly
from tests.torture.scale import LONG

collect_ignore = [] if LONG else ["test_lost_process.py"]
SHORT = (
    *("backbone.scratch.width=16", "data.tracking.train_rows=40", "evaluation.controls=[]", "data.test_rows=2"),
    *("stages.0.duration=7 steps", "stages.1.duration=6 steps", "training.validate_every=3 steps"),
)
STILL = "stages.*.dropout=0"
"""Noise depends on how an update is cut in passes, and so on the number of processes."""
END = 13


@pytest.fixture(autouse=True)
def swift(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures and costs have tests of their own."""
    swiftly(monkeypatch.setattr)


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run, with dropout in its second stage; others can be made beside it."""
    folder = tmp_path_factory.mktemp("torture")
    assert fit(tiny(folder, *SHORT, "run.name=whole")) == 0
    return folder / "whole"


@pytest.fixture(scope="session")
def still(whole: Path) -> Path:
    """The same without dropout."""
    assert fit(tiny(whole.parent, *SHORT, STILL, "run.name=still")) == 0
    return whole.parent / "still"
