"""Disks that are full or may only be read: the run says so and what to do, and goes on when that is done."""

import builtins
import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.summary.writer.record_writer import RecordWriter

import rim.fit as command
from rim.training.module import RimModule
from tests.runs import overrides
from tests.torture.conftest import SHORT
from tests.torture.scale import LONG
from tests.torture.test_kills import assert_same_run, saved

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning:lightning")


def refused(capsys: pytest.CaptureFixture[str], line: list[str]) -> str:
    """The words of a command that ends with status 2."""
    with pytest.raises(SystemExit) as ended:
        command.main(line)
    words = capsys.readouterr().err
    assert ended.value.code == 2 and "Traceback" not in words, words
    return words[words.index("error: ") :]


class Disk:
    """Refuses to write to files whose path holds a word, once `updates` updates are done."""

    def __init__(self, word: str, updates: int, number: int) -> None:
        self.word, self.updates, self.number, self.done = word, updates, number, 0

    def refuse(self, path: object) -> None:
        if self.word in str(path) and self.done >= self.updates:
            raise OSError(self.number, os.strerror(self.number), str(path))

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """In the place of what opens files for writing, flushes them, and appends events."""
        open_, sync, event, step = builtins.open, os.fsync, RecordWriter.write, RimModule.training_step

        def opened(path: Any, mode: str = "r", *rest: Any, **more: Any) -> Any:
            if {*mode} & {*"wax+"}:
                self.refuse(path)
            return open_(path, mode, *rest, **more)

        def synced(file: int) -> None:
            self.refuse(os.readlink(f"/proc/self/fd/{file}"))
            sync(file)

        def written(writer: Any, data: bytes) -> None:
            self.refuse("events.out.tfevents")
            event(writer, data)

        def stepped(module: RimModule, *batch: Any) -> None:
            self.done = module.updates + 1
            step(module, *batch)

        for owner, name, function in (
            (builtins, "open", opened), (os, "fsync", synced), (RecordWriter, "write", written),
            (RimModule, "training_step", stepped),
        ):  # fmt: skip
            patch.setattr(owner, name, function)


FILES = ["grounding-best", "tfevents", *(["resume.ckpt", "selection.json", "curve.jsonl"] if LONG else [])]


@pytest.mark.parametrize("word", FILES)
def test_a_disk_that_fills_up(
    word: str, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the fifth update nothing of one kind can be written."""
    name = f"full-{word.partition('.')[0]}"
    folder, line = whole.parent / name, overrides(whole.parent, *SHORT, f"run.name={name}")
    with monkeypatch.context() as patch:
        Disk(word, 5, errno.ENOSPC).install(patch)
        words = refused(capsys, line)
    assert (
        "could not be written: No space left on device" in words
        and "Make room, or write to another folder (move a run to another run.folder)" in words
    )
    assert 4 <= saved(folder) <= 7 and not list(folder.glob("**/.*.part"))
    assert command.main(line) == 0
    assert_same_run(folder, whole)


@pytest.mark.parametrize("updates", [5, 0] if LONG else [5])
def test_a_run_folder_that_may_only_be_read(
    updates: int, whole: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """From its start, or in the middle of a run; and where the run would go on."""
    name = f"read-only-{updates}"
    folder, line = whole.parent / name, overrides(whole.parent, *SHORT, f"run.name={name}")
    for attempt in range(2):
        with monkeypatch.context() as patch:
            Disk(f"/{name}/", updates if attempt == 0 else 0, errno.EROFS).install(patch)
            words = refused(capsys, line)
        assert f"error: {folder}/" in words and "could not be written: Read-only file system" in words
        assert (
            "Make it writable, or write to another folder (move a run to another run.folder), then repeat the command"
            in words
        )
    assert command.main(line) == 0
    assert_same_run(folder, whole)


def test_a_folder_of_runs_that_may_only_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make: Callable[..., None] = Path.mkdir

    def refusing(path: Path, *rest: Any, **more: Any) -> None:
        if path.is_relative_to(tmp_path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))
        make(path, *rest, **more)

    monkeypatch.setattr(Path, "mkdir", refusing)
    words = refused(capsys, overrides(tmp_path / "runs", *SHORT, "run.name=x"))
    assert words.startswith(
        f"error: {tmp_path}/runs/x.log could not be written: Read-only file system. Make it writable"
    )
