"""Methods of several passes on a model with adapters: losses of plain passes, gradients for rows and adapters."""

import pytest
import torch

from rim.backbone.backbone import Backbone
from rim.methods.registry import build_method
from tests.models import at, config, tiny_backbone, with_adapters
from tests.numerics import literal, test_coconut, test_codi, test_looped
from tests.numerics.literal import EXAMPLES

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

OBJECTIVES = {"coconut": "latent", "codi": "distillation", "looped": "refinement"}


def adapted(family: str) -> Backbone:
    """In double precision."""
    return with_adapters(tiny_backbone(family)).double()


def loss_by_hand(backbone: Backbone, method: str) -> torch.Tensor:
    if method == "coconut":
        return torch.stack([nll_T.mean() for nll_T in test_coconut.by_hand(backbone, "latent_all")]).mean()
    if method == "codi":
        return test_codi.total([test_codi.parts(backbone, of) for of in EXAMPLES])
    return test_looped.by_hand(backbone, "refinement", loops=3)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("method", OBJECTIVES)
def test_losses_and_gradients_under_adapters(family: str, method: str) -> None:
    backbone = adapted(family)
    settings = config(method, blocks=test_looped.BLOCKS)
    settings.method.loops = 3
    built = build_method(settings, backbone.tokenizer)
    built.add_modules(backbone)
    backbone.double()
    found = literal.train(built, backbone, at(OBJECTIVES[method]))
    loss = loss_by_hand(backbone, method)
    assert found.loss == pytest.approx(loss.item(), rel=1e-6)
    literal.assert_same(found.gradients, literal.gradients(backbone, loss))
    trained = {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    assert found.gradients.keys() == trained, "all that trains has a gradient, and nothing else"
    rows = [gradient for name, gradient in found.gradients.items() if ".rows." in name]
    assert [gradient.shape[0] for gradient in rows] == [3]
    assert all(gradient.abs().max() > 0 for gradient in found.gradients.values())
