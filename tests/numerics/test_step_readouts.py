"""Steps that keep a weight, in late grounding and in refinement, against one plain pass for each readout."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from rim.backbone.backbone import Backbone
from rim.base.tree import pad
from rim.data.encode import EncodedExample
from rim.methods.blocks import Blocks
from rim.methods.method import nll_by_readout
from rim.methods.registry import build_method
from tests.models import at, config
from tests.numerics import literal
from tests.numerics.literal import EXAMPLES, FAMILIES

BLOCKS, FLOOR, KEPT, LATE = 3, 0.2, 0.3, 0.7
"""Three blocks: fewer than the longest example has steps, and more than the others have."""
SHIFT = {"next_step": 1, "same_step": 0}
MOMENTS = [("grounding", LATE), ("refinement", 0.5)]


def made(backbone: Backbone, kept: float = KEPT, **changes: object) -> Blocks:
    settings = config("memory_blocks", blocks=BLOCKS)
    settings.method.fade_floor, settings.method.refinement_steps = FLOOR, kept
    for name, value in changes.items():
        setattr(settings.method, name, value)
    method = build_method(settings, backbone.tokenizer)
    assert isinstance(method, Blocks)
    return method


def readouts(of: EncodedExample, objective: str, target: str) -> Iterator[tuple[int, list[int], float]]:
    """(block, text, weight) of all readouts."""
    number = len(of.steps)
    blocks = BLOCKS if objective == "refinement" else max(1, number)
    for t in range(1, min(number - SHIFT[target], blocks) + 1):
        fading = max(1 - LATE / (t / number), FLOOR)
        yield t, of.steps[t - 1 + SHIFT[target]].tolist(), KEPT if objective == "refinement" else fading
    for k in range(1, blocks + 1):
        if objective == "refinement" or k == blocks:
            yield k, of.answer.tolist(), k / 6 if objective == "refinement" else 1.0


def nll(backbone: Backbone, of: EncodedExample, block: int, text: list[int]) -> Tensor:
    """[T] losses of a text and its end, which follow the question and so many blocks."""
    special = backbone.special
    given = [*of.question, *[special.open, special.memory, special.memory, special.close] * block]
    return literal.text_nll(backbone, literal.embed(backbone, given), [*text, special.end])


@pytest.mark.parametrize("rule", ["weights", "readouts", "examples"])
@pytest.mark.parametrize("target", SHIFT)
@pytest.mark.parametrize(("objective", "share"), MOMENTS)
def test_loss_and_gradients_are_the_weighted_sum_of_all_readouts(
    objective: str, share: float, target: str, rule: str
) -> None:
    """Steps count in the denominator like any readout."""
    backbone = literal.exact("llama")
    method = made(backbone, grounding_target=target, across_readouts=rule)
    found = literal.train(method, backbone, at(objective, share))
    total, weights = torch.zeros(()), []
    for of in EXAMPLES:
        for block, text, weight in readouts(of, objective, target):
            total = total + weight * nll(backbone, of, block, text).mean()
            weights.append(weight)
    assert FLOOR in weights or KEPT in weights
    loss = total / {"weights": sum(weights), "readouts": len(weights), "examples": len(EXAMPLES)}[rule]
    assert found.loss == pytest.approx(loss.item(), rel=1e-6)
    literal.assert_same(found.gradients, literal.gradients(backbone, loss))


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
@torch.no_grad()
def test_steps_and_answers_of_a_block_do_not_see_each_other(family: str, changes: dict) -> None:
    """Every token's loss in the packed tree is that of its readout alone; the curve has their mean by block."""
    backbone = literal.exact(family, **changes)
    method = made(backbone)
    for of in EXAMPLES:
        batch = pad([method.layout(of, at("refinement"))], backbone.special.pad)
        nll_S = method.losses(backbone, batch).nll_S
        sums_R, tokens_R = nll_by_readout(batch, nll_S, BLOCKS + 1)
        alone: dict[int, list[Tensor]] = {block: [] for block in range(1, BLOCKS + 1)}
        for block, text, _ in readouts(of, "refinement", "next_step"):
            alone[block].append(nll(backbone, of, block, text))
        for block, parts in alone.items():
            wanted = torch.cat(parts).sort().values
            assert torch.allclose(nll_S[batch.readout_S == block].double().sort().values, wanted, atol=1e-5, rtol=0)
            assert sums_R[block] / tokens_R[block] == pytest.approx(wanted.mean().item(), rel=1e-5)


def test_the_gradient_of_steps_is_scaled_by_their_weight() -> None:
    """Divided by examples alone, twice the weight adds twice the gradient to that of the answers."""
    backbone = literal.exact()
    progress, rule = at("refinement"), {"across_readouts": "examples"}
    none, once, twice = (
        literal.train(made(backbone, kept, **rule), backbone, progress).gradients for kept in (0.0, KEPT, 2 * KEPT)
    )
    assert literal.apart(once, none) > 0.01
    literal.assert_same(twice, {name: 2 * once[name] - none[name] for name in none}, tolerance=1e-5)


def test_answers_are_read_as_without_steps() -> None:
    backbone = literal.exact()
    prompts = [[made(backbone, kept).prompt(of, at("refinement").stage) for of in EXAMPLES] for kept in (0.0, KEPT)]
    assert made(backbone).answer(backbone, prompts[1], 5) == made(backbone, 0.0).answer(backbone, prompts[0], 5)
    assert [prompt.branches for prompt in prompts[1]] == [(1, 2, 3)] * len(EXAMPLES)
