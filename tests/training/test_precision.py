"""bf16 changes the arithmetic of training a little, and nothing of what weights are kept, scored or read in."""

from pathlib import Path
from typing import Literal

import pytest
import torch

from rim.backbone.backbone import Backbone
from rim.settings import Training
from rim.training import header
from rim.training.header import cpu_has_bf16
from rim.training.run import fit
from tests.runs import END, curve, tiny, weights


@pytest.mark.parametrize(
    ("precision", "instructions", "warned"), [("fp32", False, False), ("bf16", True, False), ("bf16", False, True)]
)
def test_a_cpu_without_instructions_for_bf16_is_named(
    precision: Literal["fp32", "bf16"], instructions: bool, warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(header, "cpu_has_bf16", lambda: instructions)
    said = "precision     this CPU has no instructions for bf16: training.precision=fp32 is up to 20 times as fast"
    assert header.slow_precision(Training(precision=precision, accelerator="cpu")) == ([said] if warned else [])
    assert isinstance(cpu_has_bf16(), bool)


def losses(run: Path) -> list[float]:
    return [record["loss"] for record in curve(run) if "loss" in record]


@pytest.mark.parametrize("decode", ["plain", "static"])
def test_a_run_in_bf16_stays_near_one_in_fp32(
    straight: Path, tmp_path: Path, decode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds, forward = {True: set(), False: set()}, Backbone.forward

    def watched(self: Backbone, *inputs: object, **more: object) -> object:
        output = forward(self, *inputs, **more)
        kinds[torch.is_grad_enabled()].add(output.logits.dtype)
        return output

    monkeypatch.setattr(Backbone, "forward", watched)
    more = ("training.precision=bf16", f"evaluation.decode={decode}", f"data.cache={straight.parent}/cache")
    assert fit(tiny(tmp_path, "run.name=half", *more)) == 0
    assert torch.bfloat16 in kinds[True]
    assert kinds[False] == {torch.float32}  # answers, the self-check and fingerprints
    half, whole = losses(tmp_path / "half"), losses(straight)
    assert len(half) == END and half != whole
    assert half[0] == pytest.approx(whole[0], rel=1e-2) and half == pytest.approx(whole, rel=0.3)
    assert {weight.dtype for weight in weights(tmp_path / "half", "refinement-best").values()} == {torch.float32}
