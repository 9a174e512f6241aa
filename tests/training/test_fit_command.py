"""The command that trains a run as a process of its own."""

import sys

from rim.runs.children import fit_command


def test_files_come_before_overrides() -> None:
    command = fit_command(["conf/tracking.yaml", "conf/backbone/scratch.yaml"], ["run.seed=1", "training.threads=2"])
    files = ["--config", "conf/tracking.yaml", "conf/backbone/scratch.yaml"]
    assert command == [sys.executable, "-m", "rim.fit", *files, "run.seed=1", "training.threads=2"]


def test_without_files_there_are_overrides_alone() -> None:
    assert fit_command([], ["run.seed=1"]) == [sys.executable, "-m", "rim.fit", "run.seed=1"]
