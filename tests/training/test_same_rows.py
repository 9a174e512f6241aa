"""A run has the same rows from its first update to its scores, whatever happens to their files in between."""

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

import rim.fit as command
from rim.data import hub
from rim.data.files import digest
from rim.training.curriculum import Curriculum
from rim.training.module import RimModule
from tests.runs import overrides
from tests.training.children import Strike, fit_in_child

WORDS = ["cup", "hat", "key", "pen", "map", "fan"]
SHORT = (
    *("data.train=own/train", "data.validation=own/validation", "data.test=[own/test]", "stages.0.duration=4 steps"),
    *("stages.1.duration=4 steps", "training.validate_every=4 steps", "evaluation.controls=[]"),
)
PARTS = ("train", "validation", "test")


def write(file: Path, flip: bool = False, words: list[str] = WORDS) -> None:
    """Rows of pairs of words, of which the second is the answer; or the first."""
    rows = [
        {"question": f"{file.stem} {a} {b}?", "steps": [f"{a}."], "answer": a if flip else b}
        for a in words
        for b in words
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def line(folder: Path, *more: str) -> list[str]:
    files = [f"data.own.{part}={folder}/{part}.jsonl" for part in PARTS]
    return overrides(folder, *SHORT, *files, "run.name=run", *more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part in PARTS:
        write(tmp_path / f"{part}.jsonl")
    return tmp_path


@pytest.fixture
def stopped(folder: Path) -> Path:
    """Folder of rows, and of a run that was stopped after its third update."""
    ended = fit_in_child(folder, line(folder), Strike("on_train_batch_end", 3, signal.SIGTERM))
    assert ended.status == 143, ended.output
    return folder


def refused(capsys: pytest.CaptureFixture[str], words: list[str]) -> str:
    with pytest.raises(SystemExit) as ended:
        command.main(words)
    assert ended.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("part", PARTS)
def test_rows_that_changed_under_a_stopped_run_are_refused(
    part: str, stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, record = stopped / f"{part}.jsonl", (stopped / "run" / "data.json").read_text()
    before = digest(file)
    assert before in record
    write(file, flip=True)
    text = refused(capsys, line(stopped))
    assert text.startswith(f"error: {stopped}/run began with other rows, and a run has the same from its first update")
    assert f"own/{part}: {file}, sha256 {before} -> {file}, sha256 {digest(file)}" in text
    assert "Bring the former rows back to go on, or choose another run.name" in text
    way = f"Other test rows can be scored when it has ended: python -m rim.evaluate --run {stopped}/run"
    assert (way in text) == (part == "test")
    assert (stopped / "run" / "data.json").read_text() == record
    write(file)
    assert command.main(line(stopped)) == 0


def test_the_same_bytes_may_lie_elsewhere(stopped: Path) -> None:
    (stopped / "moved").mkdir()
    for part in PARTS:
        shutil.move(stopped / f"{part}.jsonl", stopped / "moved" / f"{part}.jsonl")
    record = (stopped / "run" / "data.json").read_text()
    moved = [f"data.own.{part}={stopped}/moved/{part}.jsonl" for part in PARTS]
    assert command.main(line(stopped, *moved, f"data.cache={stopped}/other", f"data.root={stopped}")) == 0
    assert (stopped / "run" / "data.json").read_text() == record


def test_a_run_of_an_older_version_goes_on_and_is_held_to_what_it_kept(
    stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = stopped / "run" / "data.json"
    kept = [
        {k: v for k, v in report.items() if k not in ("noted", "encoded")} for report in json.loads(file.read_text())
    ]
    file.write_text(json.dumps(kept))
    write(stopped / "train.jsonl", flip=True)
    assert "began with other rows" in refused(capsys, line(stopped))
    write(stopped / "train.jsonl")
    file.unlink()
    assert command.main(line(stopped)) == 0 and len(json.loads(file.read_text())) == 3


def test_a_table_of_the_hub_that_moved_on_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rows are the same, but nobody has looked at them: the commit that was read first is asked for."""
    commits = ["0" * 40, "1" * 40]

    def load(table: hub.Table, online: bool) -> hub.Loaded:
        rows = [{"question": f"{table.split} {n}?", "steps": ["<<1+1=2>>"], "answer": "2"} for n in range(9)]
        return hub.Loaded(rows, commits[0])

    monkeypatch.setattr(hub, "_load", load)
    words = [*SHORT[3:], "data.train=gsm8k_aug/train", "data.validation=gsm8k_aug/validation", "data.test=[]"]
    words = overrides(tmp_path, *words, "run.name=run")
    save = Curriculum.on_train_batch_end

    def struck(this: Curriculum, trainer: Any, module: Any, *more: Any) -> None:
        if module.updates == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        save(this, trainer, module, *more)

    with monkeypatch.context() as patch:
        patch.setattr(Curriculum, "on_train_batch_end", struck)
        assert command.main(words) == 143
    commits.reverse()
    text = refused(capsys, words)
    train = "gsm8k_aug/train: whynlp/gsm8k-aug train at"
    assert f"{train} {'0' * 40} -> whynlp/gsm8k-aug train at {'1' * 40}" in text
    assert f"with data.revisions=[whynlp/gsm8k-aug@{'0' * 40}]" in text
    commits.reverse()
    assert command.main([*words, f"data.revisions=[whynlp/gsm8k-aug@{'0' * 40}]"]) == 0


def test_a_finished_run_reports_what_it_had_and_says_that_rows_changed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = line(folder, "evaluation.max_new_tokens=null")
    assert command.main(words) == 0
    kept = ("data.json", "lengths.json", "report.md", "tokenizer/tokenizer.json")
    record = [(folder / "run" / name).read_text() for name in kept]
    before = digest(folder / "train.jsonl")
    write(folder / "train.jsonl", words=["a very long answer", "and another one"])
    capsys.readouterr()
    assert command.main(words) == 0
    out = capsys.readouterr().out
    assert f"own/train: {folder}/train.jsonl, sha256 {before} -> " in out and "rows have changed since this run" in out
    assert out.endswith("\n" + record[2] + "\n")
    assert [(folder / "run" / name).read_text() for name in kept] == record


def test_a_run_that_trained_nothing_begins_with_the_rows_that_are_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tokenizer and its record are those of the new rows, as if the former had never been."""

    def struck(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(RimModule, "training_step", struck)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            command.main(line(folder))
    assert (folder / "run" / "tokenizer").is_dir() and not (folder / "run" / "resume.ckpt").exists()
    write(folder / "train.jsonl", words=["rose", "oak", "fern", "moss"])
    assert command.main(line(folder)) == 0
    assert command.main(line(folder, "run.name=fresh")) == 0
    for name in ("data.json", "tokenizer/tokenizer.json", "architecture/config.json", "selection.json"):
        assert (folder / "run" / name).read_text() == (folder / "fresh" / name).read_text(), name
    assert digest(folder / "train.jsonl") in (folder / "run" / "data.json").read_text()
