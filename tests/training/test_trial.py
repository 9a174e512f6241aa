"""How many tokens fit in a pass is found before a stage begins, and changes nothing else."""

import re
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from rim.backbone.backbone import Backbone
from rim.base.tree import TreeBatch
from rim.methods.memory_blocks import MemoryBlocks
from rim.methods.method import Losses
from rim.training import trial
from rim.training.datamodule import TOKENS_PER_PASS
from rim.training.run import fit
from tests.runs import curve, tiny

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning:lightning")


@pytest.fixture
def memory(monkeypatch: pytest.MonkeyPatch):
    """Function that gives the device room for so many tokens at once; gives the sizes of all passes that are tried."""

    losses = MemoryBlocks.losses

    def limit(tokens: int) -> list[int]:
        found: list[int] = []

        def limited(method: MemoryBlocks, backbone: Backbone, batch: TreeBatch) -> Losses:
            if torch.is_grad_enabled():
                found.append(batch.ids_BN.numel())
                if found[-1] > tokens:
                    raise torch.OutOfMemoryError("no room")
            return losses(method, backbone, batch)

        monkeypatch.setattr(MemoryBlocks, "losses", limited)
        monkeypatch.setattr(trial, "tells", lambda device: True)
        return found

    return limit


def passes(out: str) -> list[tuple[str, ...]]:
    """What was said of the passes of each stage: its name, tokens that fit, and those of the heaviest update."""
    said = r"passes        (\w+): up to ([\d,]+) tokens fit; the heaviest update has ([\d,]+), in (\d+) pass\(es\)\n"
    return re.findall(said, out)


def test_what_is_found_is_as_if_it_had_been_set(tmp_path: Path, memory, capsys: pytest.CaptureFixture[str]) -> None:
    """Bit by bit, under dropout: weights and random numbers are those of a run without a trial."""
    tried = memory(100)
    assert fit(tiny(tmp_path, "run.name=found", "training.tokens_per_pass=null")) == 0
    said = passes(capsys.readouterr().out)
    assert [(name, tokens) for name, tokens, *_ in said] == [("grounding", "80"), ("refinement", "88")]
    assert [count for *_, count in said] == ["4", "4"] and max(tried) == 4 * 88
    assert fit(tiny(tmp_path, "run.name=set", "training.tokens_per_pass=88")) == 0
    assert curve(tmp_path / "found") == curve(tmp_path / "set")


def test_numbers_are_those_of_one_pass(tmp_path: Path, memory, capsys: pytest.CaptureFixture[str]) -> None:
    """One line at a time, and all of an update at once."""
    still = ("stages.1.dropout=0", "stages.0.duration=4 steps", "stages.1.duration=3 steps")
    memory(96)
    assert fit(tiny(tmp_path, "run.name=narrow", "training.tokens_per_pass=null", *still)) == 0
    memory(10_000)
    assert fit(tiny(tmp_path, "run.name=wide", "training.tokens_per_pass=null", *still)) == 0
    found = passes(capsys.readouterr().out)
    assert [tokens for _, tokens, *_ in found[:2]] == ["80", "88"] and [count for *_, count in found[2:]] == ["1", "1"]
    narrow, wide = ([each for each in curve(tmp_path / name) if "loss" in each] for name in ("narrow", "wide"))
    for key in ("loss", "gradient_norm"):
        assert [each[key] for each in narrow] == pytest.approx([each[key] for each in wide], rel=1e-5)


def test_a_line_that_does_not_fit(tmp_path: Path, memory) -> None:
    memory(50)
    with pytest.raises(trial.MemoryExhausted) as error:
        fit(tiny(tmp_path, "training.tokens_per_pass=null"))
    assert str(error.value) == (
        "memory has no room for a line of 80 tokens in stage 'grounding', forward and backward: lower "
        "training.tokens_per_line where several examples stand in a line, or data.max_question_tokens, set "
        "backbone.training=lora or training.precision=bf16, or use a smaller model"
    )


def test_processes_read_what_fits_in_the_smallest_of_them(
    tmp_path: Path, memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint has one number, with which all go on: with others in the start, their noise would be another."""

    def smallest(found: torch.Tensor, op: object) -> None:
        assert op == dist.ReduceOp.MIN
        found.clamp_(max=40)

    memory(200)
    least = trial.least

    def among_processes(tokens: int, device: torch.device) -> int:
        with monkeypatch.context() as patch:
            patch.setattr(dist, "is_initialized", lambda: True)
            patch.setattr(dist, "all_reduce", smallest)
            return least(tokens, device)

    monkeypatch.setattr(trial, "least", among_processes)
    still = ("stages.0.duration=1 step", "stages.1.duration=1 step")
    assert fit(tiny(tmp_path, "training.tokens_per_pass=null", *still)) == 0
    checkpoint = torch.load(tmp_path / "run" / "resume.ckpt")
    assert checkpoint["DataModule"] == {"tokens_per_pass": {"grounding": 40, "refinement": 40}}


def test_what_was_found_is_kept_for_a_run_that_goes_on(tmp_path: Path, memory) -> None:
    memory(200)
    assert fit(tiny(tmp_path, "training.tokens_per_pass=null")) == 0
    checkpoint = torch.load(tmp_path / "run" / "resume.ckpt")
    assert checkpoint["DataModule"] == {"tokens_per_pass": {"grounding": 160, "refinement": 176}}


def test_devices_that_cannot_tell_have_a_plain_number(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(tiny(tmp_path, "training.tokens_per_pass=null", "stages.0.duration=1 step")) == 0
    assert not passes(capsys.readouterr().out) and TOKENS_PER_PASS == 16_384
