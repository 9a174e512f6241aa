"""Two processes that share the weights out (FSDP2 over gloo, CPU) make the curve, checkpoints and choice of one."""

import json
import signal
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from rim.backbone.insertion import layer_stack
from rim.runs.folder import RunFolder
from rim.training import final_scores
from rim.training.cost import Meter
from rim.training.run import fit
from tests.runs import curve, overrides, tiny, weights
from tests.swift import swiftly
from tests.training.children import Strike, fit_in_child, fit_together, torchrun
from tests.training.held import Watched, held
from tests.training.test_nodes import SHORT
from tests.training.test_two_processes import assert_close, without_key_bias

LINE = (
    *(*SHORT, "training.tokens_per_pass=1", "training.loggers=[]", "backbone.scratch.layers=5"),
    *("evaluation.controls=[removed,swapped]", "evaluation.batch_size=3", "data.validation_rows=7"),
    *("training.batch_size=4", "stages.0.duration=3 steps", "stages.1.duration=3 steps"),
    *("training.validate_every=2 steps", "training.keep_every=1 step"),
)
"""A line to a pass: some updates have more passes in one process than in the other. The second one has three questions
to validate, in one batch, and the first four, in two."""
FULL = ("training.checkpointing=full",)
LORA = (
    *("backbone.training=lora", "backbone.lora.rank=2", "backbone.scratch.shape=llama", "backbone.scratch.tied=false"),
    "evaluation.decode=static",
)
TWO = ("training.devices=2", "training.strategy=sharded")


def count_little(put: Callable[[Any, str, Any], None] = setattr) -> None:
    """The cost of a run, which other tests leave out, from two examples at one moment of each stage."""
    put(final_scores, "Meter", Meter)
    put(Meter.stage, "__defaults__", (2, 1))


@pytest.fixture(scope="module", autouse=True)
def swift() -> Iterator[None]:
    """Costs are counted here: the same ones with slices of weights as with all of them."""
    with pytest.MonkeyPatch.context() as patch:
        swiftly(patch.setattr)
        count_little(patch.setattr)
        yield


def facts(file: Path) -> dict[str, Any]:
    with safe_open(file, framework="pt") as weights:
        return json.loads(weights.metadata()["rim"])


@pytest.mark.parametrize(("more", "then"), [(FULL, ()), (LORA, TWO)], ids=["full", "lora"])
def test_two_processes_with_slices_are_one_even_when_stopped_in_between(
    more: tuple[str, ...], then: tuple[str, ...], tmp_path: Path
) -> None:
    """Begun by two, the run goes on in two, or in one process that has all weights."""
    assert fit(tiny(tmp_path, *LINE, *more, "run.name=one")) == 0
    line = overrides(tmp_path, *LINE, *more, "run.name=two")
    stop = Strike("add_gradient", 3, signal.SIGTERM, rank=1)
    first, second = fit_together(tmp_path, [*line, *TWO], torchrun(1, 2), Watched(tmp_path, stop))
    assert (first.status, second.status) == (143, 0), first.output + second.output
    assert second.output == ""
    begun = torch.load(tmp_path / "two" / "resume.ckpt")
    if then:
        last, second = fit_together(tmp_path, [*line, *then], torchrun(1, 2), count_little)
        assert (second.status, second.output) == (0, ""), last.output + second.output
    else:
        last = fit_in_child(tmp_path, line, count_little)
    assert last.status == 0 and "resumed       after update 4 of 6" in last.output, last.output
    assert_close(curve(tmp_path / "two"), curve(tmp_path / "one"))
    assert (tmp_path / "two" / "selection.json").read_text() == (tmp_path / "one" / "selection.json").read_text()
    for name in ("grounding-best", "grounding-1", "refinement-4", "refinement-last"):
        mine, other = (without_key_bias(weights(tmp_path / each, name)) for each in ("two", "one"))
        assert list(mine) == list(other)
        torch.testing.assert_close(mine, other, rtol=0, atol=5e-5)
        a, b = (facts(tmp_path / each / "weights" / f"{name}.safetensors") for each in ("two", "one"))
        assert a.pop("fingerprint") == pytest.approx(b.pop("fingerprint"), abs=1e-4) and a == b
    ended = torch.load(tmp_path / "one" / "resume.ckpt")
    assert shapes(begun) == shapes(ended)
    mine, other = (json.loads((tmp_path / each / "result.json").read_text()) for each in ("two", "one"))
    assert [mine[key] for key in ("weights", "accuracy")] == [other[key] for key in ("weights", "accuracy")]
    assert mine["training"]["flops"] == other["training"]["flops"]
    assert_slices_are_held(tmp_path)
    if then:
        assert_scored_again(tmp_path, [*line, *then])


def assert_scored_again(folder: Path, line: list[str]) -> None:
    """As after a kill before its scores were written: the processes meet without an update to make."""
    result = folder / "two" / "result.json"
    before = json.loads(result.read_text())
    result.unlink()
    first, second = fit_together(folder, line, torchrun(1, 2), swiftly)
    assert (first.status, second.status, second.output) == (0, 0, ""), first.output + second.output
    assert "resumed       after update 6 of 6" in first.output and "## tracking/test" in first.output
    again = json.loads(result.read_text())
    assert [again[key] for key in ("weights", "accuracy")] == [before[key] for key in ("weights", "accuracy")]


def assert_slices_are_held(folder: Path) -> None:
    """The first process alone has all weights, when it has made them, and when it saves what has been trained."""
    backbone, _ = RunFolder(folder / "one").load_backbone()
    weights, layers = {*backbone.parameters()}, [{*layer.parameters()} for layer in layer_stack(backbone.causal)[1]]
    size, rest = bytes_of(weights), bytes_of(weights.difference(*layers))
    slack = 0.02 * size  # slices are filled up to equal sizes
    at_once = size / 2 + rest + max(map(bytes_of, layers)) + slack
    assert at_once < size, "the sizes of this test"
    first, second = held(folder, 0), held(folder, 1)
    assert size <= first["start"] <= size + max(map(bytes_of, layers)) + slack
    assert second["start"] <= at_once
    assert max(first["validation"], second["validation"]) <= at_once
    trained = [weight for weight in weights if weight.requires_grad]
    assert first["save"] <= size / 2 + 3 * bytes_of(trained) + slack  # with two moments
    assert second["save"] <= size / 2 + max(weight.nbytes for weight in trained) + slack


def bytes_of(weights: Iterable[Tensor]) -> int:
    return sum(weight.nbytes for weight in weights)


def shapes(checkpoint: dict[str, Any]) -> dict[Any, Any]:
    """What a state to resume from holds of the model and of the optimiser."""
    (optimizer,) = checkpoint["optimizer_states"]
    found = {name: (value.shape, type(value)) for name, value in checkpoint["state_dict"].items()}
    return found | {(n, key): (v.shape, type(v)) for n, each in optimizer["state"].items() for key, v in each.items()}
