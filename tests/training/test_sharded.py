"""Two processes that share the weights out (FSDP2 over gloo, CPU) make the curve, checkpoints and choice of one."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from rim.training.run import fit
from tests.runs import curve, overrides, tiny, weights
from tests.training.children import Strike, fit_in_child, fit_together, torchrun
from tests.training.test_nodes import SHORT
from tests.training.test_two_processes import assert_close, without_key_bias

LINE = (*SHORT, "training.tokens_per_pass=1", "training.loggers=[]")
"""A line to a pass: some updates have more passes in one process than in the other."""
FULL = ("training.checkpointing=full",)
LORA = ("backbone.training=lora", "backbone.lora.rank=2")
TWO = ("training.devices=2", "training.strategy=sharded")


def facts(file: Path) -> dict[str, Any]:
    with safe_open(file, framework="pt") as weights:
        return json.loads(weights.metadata()["rim"])


@pytest.mark.parametrize(("more", "then"), [(FULL, TWO), (LORA, ())], ids=["full", "lora"])
def test_two_processes_with_slices_are_one_even_when_stopped_in_between(
    more: tuple[str, ...], then: tuple[str, ...], tmp_path: Path
) -> None:
    """Begun by two, the run goes on in two, or in one process that has all weights."""
    assert fit(tiny(tmp_path, *LINE, *more, "run.name=one")) == 0
    line = overrides(tmp_path, *LINE, *more, "run.name=two")
    stop = Strike("add_gradient", 4, signal.SIGTERM, rank=1)
    first, second = fit_together(tmp_path, [*line, *TWO], torchrun(1, 2), stop)
    assert (first.status, second.status) == (143, 0), first.output + second.output
    assert second.output == ""
    begun = torch.load(tmp_path / "two" / "resume.ckpt")
    if then:
        last, second = fit_together(tmp_path, [*line, *then], torchrun(1, 2))
        assert (second.status, second.output) == (0, "")
    else:
        last = fit_in_child(tmp_path, line)
    assert last.status == 0 and "resumed       after update 5 of 9" in last.output, last.output
    assert_close(curve(tmp_path / "two"), curve(tmp_path / "one"))
    assert (tmp_path / "two" / "selection.json").read_text() == (tmp_path / "one" / "selection.json").read_text()
    for name in ("grounding-best", "refinement-last"):
        mine, other = (without_key_bias(weights(tmp_path / each, name)) for each in ("two", "one"))
        assert list(mine) == list(other)
        torch.testing.assert_close(mine, other, rtol=0, atol=5e-5)
        a, b = (facts(tmp_path / each / "weights" / f"{name}.safetensors") for each in ("two", "one"))
        assert a.pop("fingerprint") == pytest.approx(b.pop("fingerprint"), abs=1e-4) and a == b
    ended = torch.load(tmp_path / "one" / "resume.ckpt")
    assert shapes(begun) == shapes(ended)


def shapes(checkpoint: dict[str, Any]) -> dict[Any, Any]:
    """What a state to resume from holds of the model and of the optimiser."""
    (optimizer,) = checkpoint["optimizer_states"]
    found = {name: (value.shape, type(value)) for name, value in checkpoint["state_dict"].items()}
    return found | {(n, key): (v.shape, type(v)) for n, each in optimizer["state"].items() for key, v in each.items()}
