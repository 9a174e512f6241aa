"""Examples that stand side by side in lines have the losses and gradients that they have in lines of their own."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from rim.backbone.backbone import Backbone
from rim.backbone.selfcheck import self_check
from rim.backbone.tokenizer import Slots
from rim.base.tree import Tree, TreeBatch, pad, pad_lines
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.settings.checks import OBJECTIVES
from rim.settings.progress import Progress
from tests.models import at, config, example, stopped, tiny_backbone, with_adapters
from tests.numerics.inserted import inserted
from tests.numerics.test_packed import FAMILIES
from tests.variants import VARIANTS, settings

EXAMPLES = [
    stopped(example(question, steps, seed=question), 1)
    for question, steps in [(9, (3, 2, 4)), (5, (2,)), (14, ()), (7, (5, 1)), (11, (2, 2))]
]
LINES = ((2, 0), (1,), (4, 3))
"""Which examples stand in which line, in no order."""


def in_lines(trees: Sequence[Tree], pad_id: int) -> TreeBatch:
    return pad_lines([[trees[number] for number in line] for line in LINES], pad_id, 8)


def learned(method: Method, backbone: Backbone, batch: TreeBatch) -> tuple[list[float], list[Tensor]]:
    """Loss by example, and the gradient."""
    backbone.zero_grad()
    losses = method.losses(backbone, batch)
    losses.total.backward()
    weighed_S = losses.nll_S * batch.weight_S
    each = [float(weighed_S[batch.example_S == row].sum()) for row in range(len(EXAMPLES))]
    gradient = [p.grad.clone() for p in backbone.parameters() if p.grad is not None]
    return [losses.total.item(), *each], gradient


def check_lines(method: Method, backbone: Backbone, progress: Progress) -> None:
    trees, pad_id = [method.layout(each, progress) for each in EXAMPLES], backbone.special.pad
    alone, gradient = learned(method, backbone, pad(trees, pad_id))
    batch = in_lines(trees, pad_id)
    assert len(batch.ids_BN) == 3 and batch.ids_BN.shape[1] % 8 == 0
    beside, own = learned(method, backbone, batch)
    order = [number for line in LINES for number in line]
    assert beside == pytest.approx([alone[0], *(alone[1 + number] for number in order)], rel=1e-5)
    scale = max(float(each.abs().max()) for each in gradient)
    assert len(own) == len(gradient)
    for mine, other in zip(own, gradient, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5 * scale, rtol=1e-5)


@pytest.mark.parametrize("objective", ["grounding", "refinement"])
@pytest.mark.parametrize(("family", "changes"), FAMILIES)
def test_in_every_family(family: str, changes: dict, objective: str) -> None:
    backbone = tiny_backbone(family, **changes)
    check_lines(build_method(config(), backbone.tokenizer), backbone, at(objective))


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3", "mistral"])
def test_where_memory_is_inserted(family: str) -> None:
    backbone = inserted(family, 2, **({"sliding_window": 8} if family == "mistral" else {}))
    check_lines(build_method(config(), backbone.tokenizer), backbone, at("refinement"))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_under_adapters() -> None:
    backbone = with_adapters(tiny_backbone("llama"))
    check_lines(build_method(config(), backbone.tokenizer), backbone, at("grounding"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_by_every_method(variant: str) -> None:
    """In chains of passes and in loops, too."""
    chosen = settings(variant)
    backbone = tiny_backbone("llama", slots=Slots.of(chosen))
    method = build_method(chosen, backbone.tokenizer)
    method.add_modules(backbone)
    for stage in chosen.stages:
        check_lines(method, backbone, Progress(stage, 500, 1000, 0.75))


def test_what_a_batch_knows_of_its_numbers() -> None:
    """So that nobody has to ask a device for them."""
    backbone = tiny_backbone()
    for variant in ("memory_blocks", "coconut", "codi"):
        method = build_method(settings(variant), backbone.tokenizer)
        batch = in_lines([method.layout(each, at(OBJECTIVES[variant][-1])) for each in EXAMPLES], 0)
        assert batch.chain == batch.chained_BN.max()
        assert batch.text == ((batch.node_BN >= 0) & ~batch.memory_BN).sum(1).max()
        assert torch.equal(batch.predictor_U, batch.source_S.unique())
        assert torch.equal(batch.predictor_U[batch.row_S], batch.source_S)


def test_the_last_memory_token_is_that_of_each_tree() -> None:
    backbone = tiny_backbone()
    method = build_method(config(), backbone.tokenizer)
    trees = [method.layout(each, at("refinement")) for each in EXAMPLES]
    alone, beside = pad(trees, 0), in_lines(trees, 0)
    rows = [torch.cat([alone.upto_BN[number, : trees[number].length] for number in line]) for line in LINES]
    for row, wanted_N in enumerate(rows):
        assert torch.equal(beside.upto_BN[row, : len(wanted_N)], wanted_N)
        assert not beside.upto_BN[row, len(wanted_N) :].any()


def test_the_self_check_reads_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, made = tiny_backbone("qwen3"), []
    method = build_method(config(), backbone.tokenizer)
    trees = [method.layout(each, at("grounding")) for each in EXAMPLES]
    monkeypatch.setattr(
        "rim.backbone.selfcheck.pad_lines", lambda lines, *more: made.append(lines) or pad_lines(lines, *more)
    )
    found = self_check(backbone, trees)
    assert [[len(line) for line in lines] for lines in made] == [[3, 2]]
    assert found.difference < 1e-5 and found.predictions == len(pad(trees, 0).source_S)
