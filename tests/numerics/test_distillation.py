"""RiM taught by its own chain of thought, against plain passes: its state before the answer follows the chain's."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from rim.backbone.backbone import Backbone
from rim.base.tree import Kind
from rim.data.encode import EncodedExample
from rim.methods.blocks import Blocks
from rim.methods.registry import build_method
from tests.models import at, config
from tests.numerics import literal
from tests.numerics.literal import EXAMPLES, FAMILIES

BLOCKS, TEACHER, GAMMA = 3, 0.7, 5.0
OBJECTIVES = ["grounding", "refinement"]


def made(backbone: Backbone, **changes: object) -> Blocks:
    settings = config("memory_blocks", blocks=BLOCKS)
    for name, value in changes.items():
        setattr(settings.method, name, value)
    method = build_method(settings, backbone.tokenizer)
    assert isinstance(method, Blocks)
    return method


def taught(backbone: Backbone, of: EncodedExample, blocks: int, cue: str, stop: bool = True) -> tuple[Tensor, Tensor]:
    """The chain's mean loss, and the distance of the states before the first token of the last readout's answer."""
    special = backbone.special
    block = [special.open, special.memory, special.memory, special.close]
    read = [*of.question, *block * blocks, *literal.spelt(backbone, cue)]
    student_LD = literal.read(backbone, literal.embed(backbone, read))[1][:, -1]
    question_ND, text = literal.embed(backbone, of.question), literal.chain(backbone, of)
    written = torch.cat([question_ND, literal.embed(backbone, text[: -len(literal.answer(backbone, of))])])
    with torch.set_grad_enabled(not stop):
        teacher_LD = literal.read(backbone, written)[1][:, -1]
    layers = [
        functional.smooth_l1_loss(student_D, teacher_D) / teacher_D.std()
        for student_D, teacher_D in zip(student_LD, teacher_LD, strict=True)
    ]
    return literal.text_nll(backbone, question_ND, text).mean(), torch.stack(layers).mean()


def by_hand(backbone: Backbone, objective: str, cue: str, shares: list[float], stop: bool = True) -> Tensor:
    """What distillation adds to the mean loss; an example's part weighs as its share of the count."""
    total = torch.zeros((), dtype=torch.float64)
    for of, share in zip(EXAMPLES, shares, strict=True):
        blocks = max(1, len(of.steps)) if objective == "grounding" else BLOCKS
        chain, apart = taught(backbone, of, blocks, cue, stop)
        total = total + share * (TEACHER * chain + GAMMA * apart)
    return total / sum(shares)


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("cue", ["", "7 * "])
def test_losses_and_gradients_are_those_of_plain_passes(family: str, changes: dict, objective: str, cue: str) -> None:
    backbone = literal.exact(family, **changes)
    progress = at(objective, 0.2)
    without = made(backbone, answer_cue=cue)
    shares = [without.layout(of, progress).count for of in EXAMPLES]
    assert len(set(shares)) > 1 or objective == "refinement"
    plain = literal.train(without, backbone, progress)
    found = literal.train(made(backbone, answer_cue=cue, distillation=GAMMA, teacher=TEACHER), backbone, progress)
    added = by_hand(backbone, objective, cue, shares)
    assert found.loss - plain.loss == pytest.approx(added.item(), rel=1e-5)
    extra = literal.gradients(backbone, added)
    literal.assert_same(found.gradients, {name: plain.gradients[name] + extra[name] for name in extra})


def test_the_chain_follows_nothing() -> None:
    """The distance moves the blocks towards the chain and not the chain towards the blocks."""
    backbone = literal.exact()
    found = literal.train(made(backbone, distillation=GAMMA, teacher=TEACHER), backbone, at("refinement"))
    plain = literal.train(made(backbone), backbone, at("refinement"))
    flowing = literal.gradients(backbone, by_hand(backbone, "refinement", "", [1.0] * len(EXAMPLES), stop=False))
    sums = {name: plain.gradients[name] + flowing[name] for name in flowing}
    assert literal.apart(found.gradients, sums) > 0.01


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_blocks_and_chain_do_not_see_each_other(objective: str) -> None:
    backbone = literal.exact()
    for of in EXAMPLES:
        tree = made(backbone, distillation=GAMMA).layout(of, at(objective))
        teacher = tree.pairs[0].teacher
        written = [teacher]
        while tree.nodes[written[-1]].parent != 0:
            written.append(tree.nodes[written[-1]].parent or 0)
        others = [g for g, node in enumerate(tree.nodes) if g not in written and node.kind != Kind.QUESTION]
        sees_GG = tree.flat.sees_GG
        assert not sees_GG[written][:, others].any() and not sees_GG[others][:, written].any()


@pytest.mark.parametrize("off", [None, 0.0])
def test_off_by_default(off: float | None) -> None:
    backbone = literal.exact()
    tree = made(backbone, distillation=off).layout(EXAMPLES[0], at("refinement"))
    assert tree.pairs == () and {node.kind for node in tree.nodes} == {Kind.QUESTION, Kind.MEMORY, Kind.ANSWER}


def test_reading_takes_one_pass_in_training_and_before_an_answer() -> None:
    backbone = literal.exact()
    method = made(backbone, distillation=GAMMA)
    with literal.passes(backbone) as training:
        literal.train(method, backbone, at("refinement"))
    with literal.passes(backbone) as answering:
        method.answer(backbone, [method.prompt(of) for of in EXAMPLES], 1)
    assert training() == answering() == 1
