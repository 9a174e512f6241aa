"""Checkpointed layers give the losses and gradients of plain ones, dropout included, and keep less."""

from typing import Any

import pytest
import torch
from torch import Tensor

from rim.backbone.backbone import Backbone, BackboneError
from rim.backbone.checkpointing import checkpoint_layers
from rim.backbone.decode import greedy
from rim.backbone.dropout import set_dropout
from rim.base.tree import pad
from rim.methods.registry import build_method
from tests.families import DENSE, EXPERTS, family_backbone
from tests.models import at, config, example, tiny_backbone, with_adapters
from tests.numerics.test_packed import WINDOWED

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

UNFIT = "jetmoe"
FAMILIES = [("gpt2", {}), ("llama", {}), ("qwen3", {}), WINDOWED[1]]


def made(family: str, training: str, **changes: object) -> Backbone:
    """The same every time."""
    plain = tiny_backbone(family, **changes)
    return with_adapters(plain) if training == "lora" else plain


def learned(backbone: Backbone, checkpointing: bool, **changes: Any) -> tuple[Tensor, dict[str, Tensor], int]:
    """Loss and gradients of a batch under dropout, twice accumulated, and bytes that autograd kept."""
    settings = config()
    settings.method.distillation = changes.pop("distillation", 0.0)
    settings.memory.insertion_layer = changes.pop("insertion_layer", 0)
    method = build_method(settings, backbone.tokenizer)
    method.add_modules(backbone)
    if checkpointing:
        checkpoint_layers(backbone)
    set_dropout(backbone, 0.2)
    backbone.train()
    torch.manual_seed(5)
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    total = torch.zeros(())
    for objective in ("grounding", "refinement"):
        trees = pad([method.layout(example(seed=seed), at(objective)) for seed in (0, 1)], backbone.special.pad)
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            loss = method.losses(backbone, trees).total
        loss.backward()
        total = total + loss.detach()
    found = {name: p.grad for name, p in backbone.named_parameters() if p.requires_grad and p.grad is not None}
    return total, found, sum(saved.values())


def assert_same(plain: Backbone, other: Backbone, **changes: Any) -> None:
    loss, gradients, kept = learned(plain, False, **changes)
    again, found, less = learned(other, True, **changes)
    torch.testing.assert_close(again, loss, rtol=1e-6, atol=0)
    assert found.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-6, atol=1e-6 * float(gradient.abs().max()), msg=name)
    assert less < 0.8 * kept


@pytest.mark.parametrize("training", ["full", "lora"])
@pytest.mark.parametrize(("family", "changes"), FAMILIES)
def test_losses_and_gradients(family: str, changes: dict[str, Any], training: str) -> None:
    assert_same(*(made(family, training, **changes) for _ in range(2)))


@pytest.mark.parametrize("training", ["full", "lora"])
@pytest.mark.parametrize("method", [{"insertion_layer": 1}, {"distillation": 1.0}])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_with_an_insertion_and_with_states(family: str, method: dict[str, Any], training: str) -> None:
    assert_same(*(made(family, training) for _ in range(2)), **method)


def test_dropout_acts_in_it() -> None:
    losses = []
    for rate in (0.0, 0.2):
        backbone = tiny_backbone("gpt2")
        method = build_method(config(), backbone.tokenizer)
        checkpoint_layers(backbone)
        set_dropout(backbone, rate)
        backbone.train()
        trees = pad([method.layout(example(), at("refinement"))], backbone.special.pad)
        losses.append(method.losses(backbone, trees).total.item())
    assert losses[0] != losses[1]


def test_answers_are_cached_as_before(caplog: pytest.LogCaptureFixture) -> None:
    backbone = tiny_backbone("llama")
    prompts = [build_method(config(), backbone.tokenizer).prompt(example(seed=seed)) for seed in (0, 1)]
    before = greedy(backbone, prompts, 8)
    checkpoint_layers(backbone)
    backbone.train()
    assert greedy(backbone, prompts, 8) == before and not caplog.records


@pytest.mark.parametrize("kind", sorted({*DENSE, *EXPERTS} - {UNFIT}))
def test_every_family(kind: str) -> None:
    backbone = family_backbone(kind)
    checkpoint_layers(backbone)
    backbone.train()
    backbone.model(input_ids=torch.arange(10, 22)[None], use_cache=False).logits.sum().backward()
    assert any(parameter.grad is not None for parameter in backbone.parameters())


def test_a_family_without_checkpointing_is_refused() -> None:
    with pytest.raises(BackboneError) as error:
        checkpoint_layers(family_backbone(UNFIT))
    assert str(error.value) == (
        "training.checkpointing = full: transformers cannot checkpoint layers of 'jetmoe'; set "
        "training.checkpointing=none, or use another backbone"
    )
