"""Two processes (gloo, CPU) make the curve, the switch and the choice of one."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from rim.base.files import SaveError
from rim.methods.memory_blocks import MemoryBlocks
from rim.methods.method import Losses
from rim.training.run import fit
from rim.training.saving import AtomicCheckpointIO
from tests.runs import curve, overrides, tiny, weights
from tests.training.children import Strike, fit_in_child, fit_on_two


@pytest.fixture(scope="module")
def without_dropout(straight: Path) -> Path:
    """The uninterrupted run of one process, but that noise does not depend on how updates are cut in passes."""
    assert fit(tiny(straight.parent, "run.name=still", "stages.1.dropout=0")) == 0
    return straight.parent / "still"


def assert_close(mine: Any, other: Any, rel: float = 1e-5) -> None:
    """Equal, floats to a share of their size."""
    assert [record.keys() for record in mine] == [record.keys() for record in other]
    for a, b in zip(mine, other, strict=True):
        for key in a:
            assert a[key] == (b[key] if isinstance(b[key], str | list) else pytest.approx(b[key], rel=rel)), (a, b)


def without_key_bias(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights, but for the biases of keys: they change no attention, so that their gradient is what rounding leaves,
    which AdamW makes whole steps of."""
    return {
        key: torch.cat([value.chunk(3)[0], value.chunk(3)[2]]) if key.endswith("c_attn.bias") else value
        for key, value in weights.items()
    }


def test_two_processes_are_one_even_when_stopped_in_between(
    straight: Path, without_dropout: Path, tmp_path: Path
) -> None:
    """One of them receives SIGTERM in refinement; both leave, and both go on."""
    line = overrides(straight.parent, "run.name=two", "stages.1.dropout=0")
    folder, straight = straight.parent / "two", without_dropout
    first, second = fit_on_two(tmp_path, line, Strike("add_gradient", 15, signal.SIGTERM, rank=1))
    assert first.status == 143 and second.status == 0, first.output + second.output
    assert first.output.endswith("stopped by SIGTERM after update 16; repeat the command to go on\n")
    assert "Traceback" not in first.output + second.output
    assert_close(curve(folder), [record for record in curve(straight) if record["update"] <= 16])

    first, second = fit_on_two(tmp_path, line)
    assert first.status == second.status == 0, first.output + second.output
    assert_close(curve(folder), curve(straight))
    choice = [json.loads((each / "selection.json").read_text()) for each in (folder, straight)]
    assert choice[0] == choice[1]
    for name in ("grounding-last", "refinement-best"):
        mine, other = (without_key_bias(weights(each, name)) for each in (folder, straight))
        torch.testing.assert_close(mine, other, rtol=0, atol=5e-5)


def test_killed_at_the_switch_they_go_on(straight: Path, tmp_path: Path) -> None:
    """One is killed, the other cannot go on without it; both are repeated."""
    line = overrides(straight.parent, "run.name=two-killed", "training.tokens_per_pass=1", "stages.1.dropout=0")
    folder = straight.parent / "two-killed"
    killed = fit_on_two(tmp_path, line, Strike("on_train_epoch_end", 12))
    assert [each.status for each in killed] == [-signal.SIGKILL] * 2
    repeated = fit_on_two(tmp_path, line)
    assert [each.status for each in repeated] == [0, 0], repeated
    mine, other = ([each for each in curve(at) if each["stage"] == "grounding"] for at in (folder, straight))
    assert_close(mine, other)


def poison_the_second_process() -> None:
    losses = MemoryBlocks.losses

    def poisoned(method: MemoryBlocks, backbone: Any, batch: Any) -> Losses:
        import torch.distributed as dist

        found = losses(method, backbone, batch)
        if dist.get_rank() == 1:
            nll_S = found.nll_S.masked_fill(batch.example_S == 0, float("nan"))
            return Losses(found.total * float("nan"), found.count, nll_S)
        return found

    MemoryBlocks.losses = poisoned  # type: ignore[method-assign]


def test_a_loss_that_is_not_finite_in_one_process_stops_both(straight: Path, tmp_path: Path) -> None:
    """The first process tells it, with the examples of the second."""
    first, second = fit_on_two(tmp_path, overrides(straight.parent, "run.name=poisoned"), poison_the_second_process)
    assert (first.status, second.status) == (2, 0), first.output + second.output
    assert "error: the loss is nan at update 1 (update 1 of stage 'grounding')" in first.output
    assert "with a non-finite loss: tracking/train/" in first.output
    assert "Traceback" not in first.output + second.output and "error" not in second.output


def test_fewer_validation_rows_than_processes(straight: Path, tmp_path: Path) -> None:
    short = ("stages.0.duration=1 step", "stages.1.duration=1 step", "data.validation_rows=1")
    ended = fit_on_two(tmp_path, overrides(straight.parent, "run.name=one-row", *short))
    assert [each.status for each in ended] == [0, 0], ended
    assert [record["examples"] for record in curve(straight.parent / "one-row") if "examples" in record] == [1, 1]


def disk_of_the_first_process_is_full() -> None:
    save = AtomicCheckpointIO.save_checkpoint

    def refusing(io: AtomicCheckpointIO, checkpoint: dict[str, Any], *rest: Any, **more: Any) -> None:
        if checkpoint["rim"]["updates"] == 8:
            raise SaveError("no room")
        save(io, checkpoint, *rest, **more)

    AtomicCheckpointIO.save_checkpoint = refusing  # type: ignore[method-assign]


def test_a_full_disk_stops_both(straight: Path, tmp_path: Path) -> None:
    """Only the first process writes; the second does not wait for it for ever."""
    line = overrides(straight.parent, "run.name=two-full")
    first, second = fit_on_two(tmp_path, line, disk_of_the_first_process_is_full)
    assert first.status == 2 and first.output.endswith("error: no room\n")
    assert second.status is not None and second.status > 0, "a process that is killed here was left waiting"
    assert torch.load(straight.parent / "two-full" / "resume.ckpt")["rim"]["updates"] == 6


def test_loader_processes_change_nothing(straight: Path, tmp_path: Path) -> None:
    """They hold copies of the layout, which depends on the stage: they are made anew at every switch."""
    ended = fit_in_child(tmp_path, overrides(straight.parent, "run.name=workers", "data.workers=2"))
    assert ended.status == 0, ended.output
    assert curve(straight.parent / "workers") == curve(straight)
