"""Dropout acts at the rate that is set, in every family, wherever the family keeps its rates; or it is refused."""

from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from rim.backbone.adapters import add_adapters
from rim.backbone.backbone import Backbone, BackboneError
from rim.backbone.dropout import check_dropout, set_dropout
from rim.settings import Lora
from tests.families import DENSE, EXPERTS, family_backbone
from tests.models import tiny_backbone

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

IDS = torch.arange(10, 34).view(2, 12)


def loss(backbone: Backbone, seed: int) -> float:
    """Of a pass in training mode with this noise."""
    backbone.train()
    torch.manual_seed(seed)
    with torch.no_grad():
        logits_BNV = backbone.model(input_ids=IDS).logits
    return cross_entropy(logits_BNV[:, :-1].flatten(0, 1), IDS[:, 1:].flatten()).item()


@pytest.mark.parametrize("kind", [*DENSE, *EXPERTS])
def test_a_rate_acts_in_every_family(kind: str) -> None:
    """At 0 the loss is that of evaluation, whatever the noise; at 0.5 it is another one for each noise."""
    backbone = family_backbone(kind)
    set_dropout(backbone, 0.0)
    still = [loss(backbone, seed) for seed in (1, 2)]
    with torch.no_grad():
        logits_BNV = backbone.eval().model(input_ids=IDS).logits
    exact = cross_entropy(logits_BNV[:, :-1].flatten(0, 1), IDS[:, 1:].flatten()).item()
    assert still == pytest.approx([exact, exact], abs=1e-6)
    set_dropout(backbone, 0.5)
    noisy = [loss(backbone, seed) for seed in (1, 2)]
    assert abs(noisy[0] - noisy[1]) > 1e-5 and min(abs(each - exact) for each in noisy) > 1e-5
    assert loss(backbone, 1) == noisy[0]


@pytest.mark.parametrize("kind", ["gpt2", "opt", "starcoder2", "falcon", "persimmon", "qwen2_moe"])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_the_check_passes_and_leaves_no_trace(kind: str, rate: float) -> None:
    backbone = family_backbone(kind).eval()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    before = rates(backbone)
    check_dropout(backbone, rate, "stages[0].dropout")
    assert rates(backbone) == before and not backbone.training
    assert torch.equal(torch.rand(3), expected)


def rates(backbone: Backbone) -> list[Any]:
    """Every number of the model that has to do with dropout, and what the configuration says."""
    modules = [vars(module).get("p") for module in backbone.modules() if isinstance(module, torch.nn.Dropout)]
    named = [
        (name, value) for module in backbone.modules() for name, value in vars(module).items() if "dropout" in name
    ]
    return [*modules, *named, backbone.config.to_dict()]


@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_the_check_fits_a_model_of_few_positions(rate: float) -> None:
    """GPT-2 looks positions up in a table, and one beyond its end would be an error."""
    check_dropout(family_backbone("gpt2", n_positions=16), rate, "stages[0].dropout")


def test_a_model_without_dropout_is_refused() -> None:
    backbone = family_backbone("gpt2")
    backbone.model.forward = frozen(backbone.model.forward)
    with pytest.raises(BackboneError) as error:
        check_dropout(backbone, 0.2, "stages[1].dropout")
    assert str(error.value) == (
        "stages[1].dropout = 0.2 would not act: models of type 'gpt2' apply no dropout that could be set. Leave "
        "stages[1].dropout empty (null) to keep the model as it is, or use another backbone"
    )


def frozen(forward: Any) -> Any:
    """A pass that draws the same noise always."""

    def passed(**arguments: Any) -> Any:
        torch.manual_seed(0)
        return forward(**arguments)

    return passed


def test_a_model_that_drops_by_a_rate_of_its_own_is_refused() -> None:
    """Phi-3.5-MoE jitters what its routers read."""
    backbone = family_backbone("phimoe", input_jitter_noise=0.1)
    with pytest.raises(BackboneError, match="= 0 would not act: models of type 'phimoe' drop or jitter states by a"):
        check_dropout(backbone, 0.0, "stages[0].dropout")


@pytest.mark.parametrize("kind", ["gpt2", "opt"])
def test_base_and_adapters_have_rates_of_their_own(kind: str) -> None:
    plain = family_backbone(kind)
    model = add_adapters(plain.model, Lora(rank=4, dropout=0.0), plain.special)
    with torch.no_grad():  # as they begin, adapters add nothing
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.3)
    backbone = Backbone(model, plain.tokenizer, plain.special)
    found = {}
    for base, adapters in [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5)]:
        set_dropout(backbone, base, "base")
        set_dropout(backbone, adapters, "adapters")
        found[base, adapters] = [loss(backbone, seed) for seed in (1, 2)]
    assert found[0.0, 0.0][0] == pytest.approx(found[0.0, 0.0][1], abs=1e-6)
    for noisy in (found[0.5, 0.0], found[0.0, 0.5]):
        assert abs(noisy[0] - noisy[1]) > 1e-5
    assert found[0.5, 0.0] != found[0.0, 0.5]


def test_the_tiny_models_of_other_tests_have_no_dropout() -> None:
    check_dropout(tiny_backbone("gpt2"), 0.0, "x")
