"""Coconut against its paper (arXiv 2412.06769), word by word: n latents are n + 1 chained passes over one example."""

import pytest
import torch
from torch import Tensor

from rim.backbone.backbone import Backbone
from rim.data.encode import EncodedExample
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.settings import default_stages
from rim.settings.progress import Progress
from tests.models import config
from tests.numerics import literal
from tests.numerics.literal import EXAMPLES, FAMILIES

STAGES = {stage.name: stage for stage in default_stages("coconut")}
LATENTS = {"chain": 0, "latent_1": 2, "latent_2": 4, "latent_3": 6, "latent_all": 6}
NEW = 5


def made(backbone: Backbone, **changes: object) -> Method:
    settings = config("coconut")
    for name, value in changes.items():
        setattr(settings.method, name, value)
    return build_method(settings, backbone.tokenizer)


def thought(backbone: Backbone, of: EncodedExample, latents: int, detach: bool = False) -> Tensor:
    """Question, mark, latents, mark: the input of a latent is the last state of the position before it."""
    special = backbone.special
    inputs_ND = literal.embed(backbone, [*of.question, special.open])
    for _ in range(latents):
        state_D = literal.read(backbone, inputs_ND)[1][-1, -1]
        inputs_ND = torch.cat([inputs_ND, (state_D.detach() if detach else state_D)[None]])
    return torch.cat([inputs_ND, literal.embed(backbone, [special.close])])


def before(backbone: Backbone, of: EncodedExample, stage: str, detach: bool = False) -> Tensor:
    """What is read before any text is predicted; the last stage gives the answer's mark."""
    if stage == "chain":
        return literal.embed(backbone, of.question)
    inputs_ND = thought(backbone, of, LATENTS[stage], detach)
    mark = literal.spelt(backbone, "#### ") if stage == "latent_all" else []
    return torch.cat([inputs_ND, literal.embed(backbone, mark)])


def text(backbone: Backbone, of: EncodedExample, stage: str) -> list[int]:
    """What is predicted: the steps that are left, the mark, the answer and the end."""
    if stage == "latent_all":
        return literal.answer(backbone, of)
    return literal.chain(backbone, of, first=0 if stage == "chain" else int(stage[-1]))


def by_hand(backbone: Backbone, stage: str, detach: bool = False) -> list[Tensor]:
    """Losses of the tokens of every example."""
    return [
        literal.text_nll(backbone, before(backbone, of, stage, detach), text(backbone, of, stage)) for of in EXAMPLES
    ]


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
@pytest.mark.parametrize("stage", STAGES)
def test_losses_and_gradients_are_the_papers(family: str, changes: dict, stage: str) -> None:
    backbone = literal.exact(family, **changes)
    found = literal.train(made(backbone), backbone, Progress(STAGES[stage]))
    wanted = by_hand(backbone, stage)
    for row, nll_T in enumerate(wanted):
        assert torch.allclose(found.nll(row).double(), nll_T, atol=1e-5, rtol=0)
    loss = torch.stack([nll_T.mean() for nll_T in wanted]).mean()
    assert found.loss == pytest.approx(loss.item(), abs=1e-6)
    literal.assert_same(found.gradients, literal.gradients(backbone, loss))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_gradients_flow_through_the_whole_chain(family: str) -> None:
    """Cut between latents, the loss is the same and the gradient is not."""
    backbone = literal.exact(family)
    found = literal.train(made(backbone), backbone, Progress(STAGES["latent_all"]))
    cut = torch.stack([nll_T.mean() for nll_T in by_hand(backbone, "latent_all", detach=True)]).mean()
    assert found.loss == pytest.approx(cut.item(), abs=1e-6)
    assert literal.apart(found.gradients, literal.gradients(backbone, cut)) > 0.01


@pytest.mark.parametrize("stage", STAGES)
def test_passes_are_latents_and_one_in_training_and_before_the_first_token(stage: str) -> None:
    backbone = literal.exact()
    method = made(backbone)
    with literal.passes(backbone) as training:
        literal.train(method, backbone, Progress(STAGES[stage]))
    with literal.passes(backbone) as answering:
        method.answer(backbone, [method.prompt(of, STAGES[stage]) for of in EXAMPLES], 1)
    assert training() == answering() == LATENTS[stage] + 1


@pytest.mark.parametrize(
    ("per_step", "latents", "passes"),
    [(1, 6, [1, 2, 3, 4, 7]), (2, 3, [1, 3, 4, 4, 4]), (3, 4, [1, 4, 5, 5, 5]), (2, 0, [1] * 5)],
)
def test_latents_grow_by_step_up_to_a_cap_and_the_last_stage_has_them_all(
    per_step: int, latents: int, passes: list[int]
) -> None:
    backbone = literal.exact()
    method = made(backbone, latents_per_step=per_step, latents=latents)
    found = []
    for stage in STAGES.values():
        with literal.passes(backbone) as training:
            literal.train(method, backbone, Progress(stage))
        found.append(training())
    assert found == passes


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
@pytest.mark.parametrize("stage", ["chain", "latent_1", "latent_all"])
def test_answers_are_those_of_whole_passes_for_every_token(family: str, changes: dict, stage: str) -> None:
    backbone = literal.exact(family, **changes)
    method = made(backbone)
    found = method.answer(backbone, [method.prompt(of, STAGES[stage]) for of in EXAMPLES], NEW)
    with torch.no_grad():
        wanted = [[literal.continued(backbone, before(backbone, of, stage), NEW)] for of in EXAMPLES]
    assert found == wanted


def test_the_finished_model_reads_as_the_last_stage() -> None:
    backbone = literal.exact()
    method = made(backbone)
    last = [method.prompt(of, STAGES["latent_all"]) for of in EXAMPLES]
    finished = [method.prompt(of) for of in EXAMPLES]
    assert method.answer(backbone, finished, NEW) == method.answer(backbone, last, NEW)


@pytest.mark.parametrize("stage", ["latent_2", "latent_all"])
def test_no_latents_are_plain_text_without_the_replaced_steps(stage: str) -> None:
    """The paper's control `no thought`."""
    backbone = literal.exact()
    found = literal.train(made(backbone, latents=0), backbone, Progress(STAGES[stage]))
    mark = literal.spelt(backbone, "#### ") if stage == "latent_all" else []
    for row, of in enumerate(EXAMPLES):
        inputs_ND = literal.embed(backbone, [*of.question, *mark])
        wanted = literal.text_nll(backbone, inputs_ND, text(backbone, of, stage))
        assert torch.allclose(found.nll(row).double(), wanted, atol=1e-5, rtol=0)
