"""Steps read off all memory tokens of a block at once, against plain passes; they cost logits and no positions."""

import pytest
import torch
from torch import Tensor

from rim.backbone.backbone import Backbone
from rim.base.tree import pad
from rim.data.encode import EncodedExample
from rim.methods.blocks import Blocks
from rim.methods.registry import build_method
from rim.settings import Config
from tests.models import at, config
from tests.numerics import literal
from tests.numerics.literal import EXAMPLES, FAMILIES

BLOCKS, TOKENS, WEIGHT = 4, 3, 0.3
OBJECTIVES = ["grounding", "refinement"]


def made(backbone: Backbone, weight: float, **changes: str) -> Blocks:
    settings: Config = config("memory_blocks", blocks=BLOCKS, tokens_per_block=TOKENS)
    settings.method.parallel_steps = weight
    for name, value in changes.items():
        setattr(settings.method, name, value)
    method = build_method(settings, backbone.tokenizer)
    assert isinstance(method, Blocks)
    return method


def number_of_blocks(of: EncodedExample, objective: str) -> int:
    return max(1, len(of.steps)) if objective == "grounding" else BLOCKS


def by_hand(backbone: Backbone, of: EncodedExample, objective: str) -> Tensor:
    """[T, M] losses: memory token n of block t predicts token n of step t, or the end where the step has no such token.

    There are as many rows as blocks have steps: in refinement steps beyond the last block are cut.
    """
    special, blocks = backbone.special, number_of_blocks(of, objective)
    ids = [*of.question, *[special.open, *[special.memory] * TOKENS, special.close] * blocks]
    logits_NV = literal.read(backbone, literal.embed(backbone, ids))[0].log_softmax(-1)
    rows = []
    for t, step in enumerate(of.steps[:blocks]):
        first = len(of.question) + t * (TOKENS + 2) + 1
        assert ids[first : first + TOKENS] == [special.memory] * TOKENS
        tokens = [int(step[n]) if n < len(step) else special.end for n in range(TOKENS)]
        rows.append([-logits_NV[first + n, token] for n, token in enumerate(tokens)])
    return torch.stack([torch.stack(row) for row in rows]) if rows else torch.zeros(0, TOKENS).double()


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("rule", ["weights", "readouts", "examples"])
def test_losses_and_gradients_are_those_of_plain_passes(family: str, changes: dict, objective: str, rule: str) -> None:
    """An example's mean over steps and tokens, weighed by the setting and by the example's share of the count."""
    backbone = literal.exact(family, **changes)
    without = made(backbone, 0.0, across_readouts=rule)
    progress = at(objective, 0.2)
    shares = [without.layout(of, progress).count for of in EXAMPLES]
    found = literal.train(made(backbone, WEIGHT, across_readouts=rule), backbone, progress)
    plain = literal.train(without, backbone, progress)
    rows = [by_hand(backbone, of, objective) for of in EXAMPLES]
    extra = sum(WEIGHT * share * row.mean() for row, share in zip(rows, shares, strict=True) if len(row)) / sum(shares)
    assert found.loss - plain.loss == pytest.approx(extra.item(), rel=1e-5)
    literal_gradients = literal.gradients(backbone, extra)
    sums = {name: plain.gradients[name] + literal_gradients.get(name, 0) for name in plain.gradients}
    literal.assert_same(found.gradients, sums)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_memory_token_is_supervised_once(objective: str) -> None:
    backbone = literal.exact()
    found = literal.train(made(backbone, WEIGHT), backbone, at(objective))
    plain = literal.train(made(backbone, 0.0), backbone, at(objective))
    for row, of in enumerate(EXAMPLES):
        wanted = torch.cat([plain.nll(row).double(), by_hand(backbone, of, objective).flatten()]).sort().values
        assert torch.allclose(found.nll(row).double().sort().values, wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_they_cost_no_positions_and_leave_the_rest_as_it_is(objective: str) -> None:
    backbone = literal.exact()
    batches = [
        pad([made(backbone, weight).layout(of, at(objective)) for of in EXAMPLES], backbone.special.pad)
        for weight in (0.0, WEIGHT)
    ]
    for name in ("ids_BN", "position_BN", "memory_BN", "previous_BN"):
        assert torch.equal(getattr(batches[0], name), getattr(batches[1], name)), name
    assert torch.equal(batches[0].visible_BNN(), batches[1].visible_BNN())
    assert batches[0].count == batches[1].count
    assert len(batches[1].source_S) > len(batches[0].source_S)


def test_examples_without_steps_are_laid_out_as_without_the_setting() -> None:
    backbone = literal.exact()
    trees = [made(backbone, weight).layout(EXAMPLES[2], at("grounding")) for weight in (0.0, WEIGHT)]
    assert [list(node.ids) for node in trees[0].nodes] == [list(node.ids) for node in trees[1].nodes]


def test_answers_are_read_as_without_the_setting() -> None:
    backbone = literal.exact()
    found = [
        (method := made(backbone, weight)).answer(backbone, [method.prompt(of) for of in EXAMPLES], 5)
        for weight in (0.0, WEIGHT)
    ]
    assert found[0] == found[1]
