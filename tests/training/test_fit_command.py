"""The command that trains a run as a process of its own: files, overrides, and threads side by side."""

import sys
from pathlib import Path

import pytest

from rim.runs.children import fit_command
from rim.settings.load import load, save

FILE = "conf/tracking.yaml"


@pytest.mark.parametrize(
    ("alone", "asked", "begun", "added"),
    [
        (True, [], None, []),
        (False, [], None, ["training.threads=1"]),
        (False, ["training.threads=2"], None, []),
        (True, [], "training.threads=3", ["training.threads=3"]),
        (False, ["training.threads=2"], "training.threads=null", ["training.threads=null"]),
    ],
)
def test_a_new_run_beside_others_has_one_thread_and_one_that_goes_on_keeps_its_own(
    tmp_path: Path, alone: bool, asked: list[str], begun: str | None, added: list[str]
) -> None:
    if begun is not None:
        save(load([FILE], [begun]), tmp_path / "config.yaml")
    command = fit_command(tmp_path, [FILE], asked, alone)
    assert command == [sys.executable, "-m", "rim.fit", "--config", FILE, *asked, *added]
    assert load([FILE], command[5:]) is not None


def test_without_files_there_are_overrides_alone(tmp_path: Path) -> None:
    assert fit_command(tmp_path, [], ["run.seed=1"], alone=True) == [sys.executable, "-m", "rim.fit", "run.seed=1"]
