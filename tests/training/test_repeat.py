"""The command of a finished run answers again at once; a changed one is refused."""

import os
import shutil
from pathlib import Path

import pytest

import rim.fit as command
from rim.settings.resuming import FREE
from rim.training import run
from tests.runs import overrides


@pytest.fixture(scope="module", autouse=True)
def swift() -> None:
    """The report of a whole run, with its cost, is written again."""


def state(folder: Path) -> dict[str, int]:
    return {str(file): file.stat().st_mtime_ns for file in folder.rglob("*") if file.is_file()}


def test_finished_run_repeats_its_report_and_trains_nothing(
    straight: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a finished run trains or scores again")

    before, report = state(straight / "weights"), (straight / "report.md").read_text()
    monkeypatch.setattr(run, "train", never)
    monkeypatch.setattr("rim.training.final_scores.score_source", never)
    assert command.main(overrides(straight.parent, "run.name=straight")) == 0
    assert capsys.readouterr().out.endswith("\n" + report + "\n")
    assert state(straight / "weights") == before
    assert "| blocks removed" in report or "| removed" in report
    assert f"tensorboard --logdir {straight.parent}" in report and f"python -m rim.ask --run {straight}" in report


def test_a_finished_run_needs_no_checkpoint_and_keeps_no_scraps(
    straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Removed for its size, it is not missed. What processes that were killed while saving have left goes."""
    folder = tmp_path / "straight"
    shutil.copytree(straight, folder)
    (folder / "resume.ckpt").unlink()
    before = state(folder)
    for place, name in ((folder, "resume.ckpt"), (folder / "weights", "grounding-best.safetensors")):
        (place / f".{name}.7.part").write_bytes(b"half")
    monkeypatch.setattr(run, "train", lambda *_: pytest.fail("a finished run is trained again"))
    assert command.main(overrides(straight.parent, "run.name=straight", f"run.folder={tmp_path}")) == 0
    assert capsys.readouterr().out.endswith("\n" + (folder / "report.md").read_text() + "\n")
    assert {*state(folder)} == {*before}


def test_other_settings_are_refused_by_name(straight: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = state(straight)
    with pytest.raises(SystemExit):
        command.main(overrides(straight.parent, "run.name=straight", "stages.1.learning_rate=1e-2", "memory.blocks=4"))
    assert capsys.readouterr().err == (
        f"error: {straight} holds a run with other settings: memory.blocks: 3 -> 4; stages[1].learning_rate: 0.005 -> "
        "0.01. Choose another run.name, remove the folder, or repeat the command that made it to resume. Only these "
        f"may change: {', '.join(FREE)}\n"
    )
    assert state(straight) == before


def test_run_that_ended_before_it_was_scored_is_scored_now(
    straight: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed between the last update and the report: the same report, without another update."""
    shutil.copytree(straight, tmp_path / "straight")
    for name in ("result.json", "report.md"):
        os.remove(tmp_path / "straight" / name)
    shutil.copytree(straight.parent / "cache", tmp_path / "cache")
    config = (tmp_path / "straight" / "config.yaml").read_text().replace(str(straight.parent), str(tmp_path))
    (tmp_path / "straight" / "config.yaml").write_text(config)
    monkeypatch.setattr(run, "train", None)
    assert command.main(overrides(tmp_path, "run.name=straight")) == 0
    report = (straight / "report.md").read_text().replace(str(straight.parent), str(tmp_path))
    assert (tmp_path / "straight" / "report.md").read_text() == report
