"""What stops a run stops it with a word of advice, and leaves the state before it intact."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import rim.fit as command
from rim.backbone.backbone import Backbone
from rim.backbone.reading import Outcome, Wanted
from rim.base.files import SaveError
from rim.base.tree import TreeBatch
from rim.methods import method
from rim.methods.memory_blocks import MemoryBlocks
from rim.methods.method import Losses
from rim.runs.checkpoint import load_weights, save_weights
from rim.training.curriculum import Curriculum
from rim.training.datamodule import Pass, TrainingBatch
from rim.training.logs import Curve
from rim.training.module import RimModule
from rim.training.run import fit
from rim.training.saving import AtomicCheckpointIO
from tests.models import tiny_backbone
from tests.runs import curve, overrides, tiny

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning:lightning")


def refused(capsys: pytest.CaptureFixture[str], line: list[str]) -> str:
    """The words of a command that ends with status 2."""
    with pytest.raises(SystemExit) as ended:
        command.main(line)
    assert ended.value.code == 2
    words = capsys.readouterr().err
    assert "Traceback" not in words
    return words[words.index("error: ") :]


def updates_saved(folder: Path) -> int:
    return torch.load(folder / "resume.ckpt")["rim"]["updates"]


# ---------------------------------------------------------------------- losses that are not finite


def test_non_finite_loss_names_update_stage_and_examples(
    straight: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One example of update 15 (the third of refinement) is poisoned, in its second pass."""
    name, config = "poisoned-loss", tiny(straight.parent, "run.name=poisoned-loss")
    read, add, now, ids = method.read_once, RimModule.add_gradient, [-1, -1, -1], list[str]()
    bad: list[str] = []

    def watched(module: RimModule, batch: TrainingBatch, part: Pass) -> Losses:
        now[:], ids[:] = (batch.stage, batch.update, part.number), part.ids
        return add(module, batch, part)

    def poisoned(backbone: Backbone, batch: TreeBatch, wanted: Wanted, cache: None) -> Outcome:
        outcome = read(backbone, batch, wanted, cache)
        if now != [1, 2, 1]:
            return outcome
        bad_U = torch.isin(batch.predictor_U, batch.source_S[batch.example_S == 3])
        bad.append(ids[3])
        assert outcome.last_UD is not None
        return replace(outcome, last_UD=outcome.last_UD.masked_fill(bad_U[:, None], float("nan")))

    with monkeypatch.context() as patch:
        patch.setattr(RimModule, "add_gradient", watched)
        patch.setattr(method, "read_once", poisoned)
        words = refused(capsys, overrides(straight.parent, f"run.name={name}"))
    assert words == (
        "error: the loss is nan at update 15 (update 3 of stage 'refinement'); examples with a non-finite loss: "
        f"{bad[0]}. The update was not applied and the last checkpoint is intact. Try a lower stages[i].learning_rate, "
        "or training.precision=fp32\n"
    )
    assert updates_saved(straight.parent / name) == 14
    assert fit(config) == 0
    assert curve(straight.parent / name) == curve(straight)


def test_non_finite_gradient(
    straight: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The loss is fine, its derivative is not."""
    found = MemoryBlocks.losses

    def poisoned(this: MemoryBlocks, backbone: Backbone, batch: TreeBatch) -> Losses:
        losses = found(this, backbone, batch)
        return replace(losses, total=losses.total + (next(backbone.parameters()) * 0).sqrt().sum())

    monkeypatch.setattr(MemoryBlocks, "losses", poisoned)
    words = refused(capsys, overrides(straight.parent, "run.name=poisoned-gradient"))
    assert words.startswith(
        "error: the gradient norm is nan at update 1 (update 1 of stage 'grounding'); examples with a non-finite loss: "
        "none. The update was not applied"
    )


# ---------------------------------------------------------------------- full disks


@contextmanager
def full_disk(room: int = 20_000) -> Iterator[None]:
    """The system refuses to let any file grow beyond `room` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_checkpoint_of_before_survives_a_full_disk(tmp_path: Path) -> None:
    path, io = tmp_path / "resume.ckpt", AtomicCheckpointIO()
    for left_behind in ("nothing was left behind", "the previous file is intact"):
        with full_disk(), pytest.raises(SaveError) as error:
            io.save_checkpoint({"rim": 2, "weight": torch.ones(100_000)}, path)
        assert str(error.value) == (
            f"{path} could not be written: File too large; {left_behind}. Make room, or write to another folder "
            "(move a run to another run.folder), then repeat the command: a run goes on from its last checkpoint"
        )
        assert os.listdir(tmp_path) == [path.name] * path.exists()
        io.save_checkpoint({"rim": 1, "weight": torch.ones(3)}, path)
    assert torch.load(path)["rim"] == 1


def test_another_failure_of_saving_is_not_called_a_full_disk(tmp_path: Path) -> None:
    class Stubborn:
        def __reduce__(self) -> Any:
            raise RuntimeError("not to be saved")

    with pytest.raises(RuntimeError, match="not to be saved"):
        AtomicCheckpointIO().save_checkpoint({"x": Stubborn()}, tmp_path / "resume.ckpt")
    assert os.listdir(tmp_path) == []


def test_weights_of_before_survive_a_full_disk(tmp_path: Path) -> None:
    backbone, path = tiny_backbone(), tmp_path / "weights" / "grounding-best.safetensors"
    save_weights(backbone, path, {"update": 1})
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.mul_(1.5)
    with full_disk(), pytest.raises(SaveError, match="could not be written: File too large; the previous file is int"):
        save_weights(backbone, path, {"update": 2})
    assert os.listdir(path.parent) == [path.name]
    assert load_weights(backbone, path)["update"] == 1
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_run_on_a_disk_that_fills_up(
    straight: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After update 6 nothing reaches the disk; when there is room again, the same command goes on."""
    line = overrides(straight.parent, "run.name=filled")
    folder, end, sync = straight.parent / "filled", Curriculum.on_train_batch_end, os.fsync
    full = False

    def filling(curriculum: Curriculum, trainer: Any, module: Any, *rest: Any) -> None:
        nonlocal full
        end(curriculum, trainer, module, *rest)
        full = module.updates == 7

    def refusing(file: int) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(file)

    with monkeypatch.context() as patch:
        patch.setattr(Curriculum, "on_train_batch_end", filling)
        patch.setattr(os, "fsync", refusing)
        words = refused(capsys, line)
    assert words.startswith(f"error: {folder}/resume.ckpt could not be written: No space left on device; the previous")
    assert updates_saved(folder) == 6
    assert not list(folder.glob("**/.*.part"))
    assert command.main(line) == 0
    assert curve(folder) == curve(straight)


def test_curve_on_a_full_disk(
    straight: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refusing(curve: Curve, record: dict[str, Any]) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(curve.path))

    monkeypatch.setattr(Curve, "add", refusing)
    words = refused(capsys, overrides(straight.parent, "run.name=no-curve"))
    assert words == (
        f"error: {straight.parent}/no-curve/curve.jsonl could not be written: No space left on device. Make room, or "
        "write to another folder (move a run to another run.folder), then repeat the command: a run goes on from its "
        "last checkpoint\n"
    )
