"""Pause tokens (arXiv 2310.02226), and pauses in the place of thoughts (arXiv 2412.06769): plain causal text."""

import pytest
import torch

from rim.backbone.backbone import Backbone
from rim.base.tree import Kind, Node
from rim.data.encode import EncodedExample
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.settings import default_stages
from rim.settings.progress import Progress
from tests.models import at, config
from tests.numerics import literal
from tests.numerics.literal import EXAMPLES, FAMILIES

BLOCKS, NEW = 3, 5
STAGES = {stage.name: stage for stage in default_stages("pause_curriculum")}
PAUSES = {"chain": 0, "latent_1": 2, "latent_2": 4, "latent_3": 6, "latent_all": 6}


def made(backbone: Backbone, name: str) -> Method:
    return build_method(config(name, blocks=BLOCKS), backbone.tokenizer)


def paused(backbone: Backbone, of: EncodedExample) -> list[int]:
    """Question and blocks."""
    special = backbone.special
    return [*of.question, *[special.open, special.memory, special.memory, special.close] * BLOCKS]


def curriculum(backbone: Backbone, of: EncodedExample, stage: str) -> tuple[list[int], list[int]]:
    """What is given and what is predicted."""
    special, given = backbone.special, [*of.question]
    if stage != "chain":
        given += [special.open, *[special.memory] * PAUSES[stage], special.close]
    if stage == "latent_all":
        return [*given, *literal.spelt(backbone, "#### ")], literal.answer(backbone, of)
    return given, literal.chain(backbone, of, first=0 if stage == "chain" else int(stage[-1]))


def check(backbone: Backbone, found: literal.Trained, texts: list[tuple[list[int], list[int]]]) -> None:
    """Every token's loss and all gradients are those of plain texts of which the first part is given."""
    wanted = [literal.text_nll(backbone, literal.embed(backbone, given), text) for given, text in texts]
    for row, nll_T in enumerate(wanted):
        assert torch.allclose(found.nll(row).double(), nll_T, atol=1e-5, rtol=0)
    loss = torch.stack([nll_T.mean() for nll_T in wanted]).mean()
    assert found.loss == pytest.approx(loss.item(), rel=1e-6)
    literal.assert_same(found.gradients, literal.gradients(backbone, loss))


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
def test_pauses_have_one_loss_the_answers_after_all_of_them(family: str, changes: dict) -> None:
    backbone = literal.exact(family, **changes)
    found = literal.train(made(backbone, "pause"), backbone, at("answer"))
    check(backbone, found, [(paused(backbone, of), literal.answer(backbone, of)) for of in EXAMPLES])


def test_pauses_stand_where_rims_blocks_stand() -> None:
    backbone = literal.exact()
    pause, rim = (made(backbone, name) for name in ("pause", "memory_blocks"))
    for of in EXAMPLES:
        ours, theirs = pause.prompt(of), rim.prompt(of)
        assert ours.trunk.flat.ids_N.tolist() == theirs.trunk.flat.ids_N.tolist() == paused(backbone, of)
        assert ours.trunk.flat.position_N.tolist() == theirs.trunk.flat.position_N.tolist()
        assert ours.branches == theirs.branches[-1:]


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
def test_pauses_are_answered_in_one_pass_as_plain_text(family: str, changes: dict) -> None:
    backbone = literal.exact(family, **changes)
    method = made(backbone, "pause")
    prompts = [method.prompt(of) for of in EXAMPLES]
    with literal.passes(backbone) as counted:
        method.answer(backbone, prompts, 1)
    assert counted() == 1
    inputs = [literal.embed(backbone, paused(backbone, of)) for of in EXAMPLES]
    assert method.answer(backbone, prompts, NEW) == [[literal.continued(backbone, each, NEW)] for each in inputs]


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
@pytest.mark.parametrize("stage", STAGES)
def test_pauses_in_the_place_of_thoughts_are_plain_text(family: str, changes: dict, stage: str) -> None:
    backbone = literal.exact(family, **changes)
    method = made(backbone, "pause_curriculum")
    with literal.passes(backbone) as counted:
        found = literal.train(method, backbone, Progress(STAGES[stage]))
    assert counted() == 1
    check(backbone, found, [curriculum(backbone, of, stage) for of in EXAMPLES])


@pytest.mark.parametrize("stage", STAGES)
def test_pauses_stand_where_coconuts_latents_stand(stage: str) -> None:
    """The two layouts differ in what a position is, and in nothing else."""
    backbone = literal.exact()
    pause, coconut = (made(backbone, name) for name in ("pause_curriculum", "coconut"))

    def plain(node: Node) -> tuple:
        kind = Kind.MEMORY if node.kind == Kind.LATENT else node.kind
        return kind, [int(token) for token in node.ids], node.parent, node.weight

    for of in EXAMPLES:
        trees = [method.layout(of, Progress(STAGES[stage])) for method in (pause, coconut)]
        assert [plain(node) for node in trees[0].nodes] == [plain(node) for node in trees[1].nodes]
        assert trees[0].count == trees[1].count
        assert (trees[0] == trees[1]) == (stage == "chain")
        prompts = [method.prompt(of, STAGES[stage]) for method in (pause, coconut)]
        assert prompts[0].cue == prompts[1].cue and prompts[0].branches == prompts[1].branches
