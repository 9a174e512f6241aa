"""CODI against its paper (arXiv 2502.21074): teacher, student and distance, each from plain passes over one example."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from rim.backbone.backbone import Backbone
from rim.data.encode import EncodedExample
from rim.methods.codi import PROJECTION
from rim.methods.distillation import SMALLEST, distance
from rim.methods.method import Method
from rim.methods.registry import build_method
from tests.models import at, config
from tests.numerics import literal
from tests.numerics.literal import EXAMPLES, FAMILIES

NEW = 5


def made(family: str = "gpt2", shape: dict | None = None, **changes: object) -> tuple[Method, Backbone]:
    """The method and a backbone with its projection, all in double precision."""
    settings, backbone = config("codi"), literal.exact(family, **(shape or {}))
    for name, value in changes.items():
        setattr(settings.method, name, value)
    method = build_method(settings, backbone.tokenizer)
    method.add_modules(backbone)
    return method, backbone.double()


def thought(backbone: Backbone, of: EncodedExample, latents: int) -> Tensor:
    """Question, mark, latents, mark, and the answer's mark: a latent's input is the projected state before it."""
    special, project = backbone.special, backbone.extra[PROJECTION]
    inputs_ND = literal.embed(backbone, [*of.question, special.open] if latents else of.question)
    for _ in range(latents):
        inputs_ND = torch.cat([inputs_ND, project(literal.read(backbone, inputs_ND)[1][-1, -1])[None]])
    close = [special.close] if latents else []
    return torch.cat([inputs_ND, literal.embed(backbone, [*close, *literal.spelt(backbone, "#### ")])])


def parts(backbone: Backbone, of: EncodedExample, latents: int = 6, stop: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """The student's losses, the teacher's losses, and the distance of their states before the answer's first token."""
    inputs_ND, answer = thought(backbone, of, latents), literal.answer(backbone, of)
    student_LD = literal.read(backbone, inputs_ND)[1][:, -1]
    question_ND, text = literal.embed(backbone, of.question), literal.chain(backbone, of)
    upto_ND = torch.cat([question_ND, literal.embed(backbone, text[: -len(answer)])])
    with torch.set_grad_enabled(not stop):
        teacher_LD = literal.read(backbone, upto_ND)[1][:, -1]
    apart = torch.zeros((), dtype=torch.float64)
    for student_D, teacher_D in zip(student_LD, teacher_LD, strict=True):
        apart = apart + functional.smooth_l1_loss(student_D, teacher_D) / teacher_D.std()
    losses = literal.text_nll(backbone, inputs_ND, answer), literal.text_nll(backbone, question_ND, text)
    return *losses, apart / len(student_LD)


def total(found: list[tuple[Tensor, Tensor, Tensor]], teacher: float = 1.0, gamma: float = 1.0) -> Tensor:
    """Student, weighed teacher and weighed distance: mean over each example's tokens, then over examples."""
    return torch.stack([own.mean() + teacher * other.mean() + gamma * apart for own, other, apart in found]).mean()


@pytest.mark.parametrize(("family", "shape"), FAMILIES)
@pytest.mark.parametrize("weights", [{}, {"distillation": 20.0}, {"distillation": 0.5, "teacher": 0.3}])
def test_losses_and_gradients_are_the_papers(family: str, shape: dict, weights: dict) -> None:
    method, backbone = made(family, shape, **weights)
    found = literal.train(method, backbone, at("distillation"))
    wanted = [parts(backbone, of) for of in EXAMPLES]
    for row, (own, other, _) in enumerate(wanted):
        mine = found.nll(row).double().sort().values
        assert torch.allclose(mine, torch.cat([own, other]).sort().values, atol=1e-5, rtol=0)
    loss = total(wanted, weights.get("teacher", 1.0), weights.get("distillation", 1.0))
    assert found.loss == pytest.approx(loss.item(), rel=1e-6)
    literal.assert_same(found.gradients, literal.gradients(backbone, loss))
    assert any(PROJECTION in name for name in found.gradients)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_the_distance_gives_the_teacher_no_gradient(family: str) -> None:
    """With the teacher's own loss at weight 0, nothing else reaches its chain: as if its states had no graph."""
    method, backbone = made(family, teacher=0.0, distillation=20.0)
    found = literal.train(method, backbone, at("distillation"))
    stopped = total([parts(backbone, of) for of in EXAMPLES], 0.0, 20.0)
    literal.assert_same(found.gradients, literal.gradients(backbone, stopped))
    flowing = total([parts(backbone, of, stop=False) for of in EXAMPLES], 0.0, 20.0)
    assert flowing.item() == pytest.approx(stopped.item())
    assert literal.apart(found.gradients, literal.gradients(backbone, flowing)) > 0.01


def test_each_state_has_its_own_deviation() -> None:
    """Our departure: the paper's code takes one deviation over a batch; for a batch of one both are the same."""
    draw = torch.Generator().manual_seed(3)
    student_PLD, teacher_PLD = torch.randn(2, 3, 4, 8, generator=draw).unbind()
    teacher_PLD = teacher_PLD * torch.tensor([1.0, 5.0, 25.0])[:, None, None]
    papers = [
        functional.smooth_l1_loss(student_PLD[:, n], teacher_PLD[:, n]) / teacher_PLD[:, n].std() for n in range(4)
    ]
    alone = [
        torch.stack([functional.smooth_l1_loss(student_PLD[p, n], teacher_PLD[p, n]) / teacher_PLD[p, n].std()
                     for n in range(4)]).mean()
        for p in range(3)
    ]  # fmt: skip
    assert torch.allclose(distance(student_PLD, teacher_PLD), torch.stack(alone))
    assert (distance(student_PLD, teacher_PLD).mean() / torch.stack(papers).mean() - 1).abs() > 0.1


def test_a_flat_teacher_does_not_divide_by_zero() -> None:
    student_PLD = torch.full((1, 1, 4), 0.5, requires_grad=True)
    apart_P = distance(student_PLD, torch.zeros(1, 1, 4))
    assert apart_P.tolist() == pytest.approx([0.5**3 / SMALLEST])
    apart_P.sum().backward()
    assert torch.isfinite(student_PLD.grad).all()


@pytest.mark.parametrize("latents", [0, 1, 3])
def test_passes_are_latents_and_one_in_training_and_before_the_first_token(latents: int) -> None:
    method, backbone = made(latents=latents)
    with literal.passes(backbone) as training:
        found = literal.train(method, backbone, at("distillation"))
    with literal.passes(backbone) as answering:
        method.answer(backbone, [method.prompt(of) for of in EXAMPLES], 1)
    assert training() == answering() == latents + 1
    assert found.loss == pytest.approx(total([parts(backbone, of, latents) for of in EXAMPLES]).item(), rel=1e-6)


@pytest.mark.parametrize(("family", "shape"), FAMILIES)
def test_answers_are_those_of_whole_passes_for_every_token(family: str, shape: dict) -> None:
    method, backbone = made(family, shape)
    found = method.answer(backbone, [method.prompt(of) for of in EXAMPLES], NEW)
    with torch.no_grad():
        assert found == [[literal.continued(backbone, thought(backbone, of, 6), NEW)] for of in EXAMPLES]
