"""Adapters: every attention and MLP projection has one, experts too, routers never; what cannot have one is said."""

import re

import pytest
import torch

from rim.backbone.adapters import Targets, adapted, add_adapters, candidates, choose, in_words
from rim.backbone.backbone import Backbone, BackboneError
from rim.settings import Lora
from tests.families import DENSE, EXPERTS, family_backbone, family_model

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

ATTENTION = ["self_attn.k_proj (2)", "self_attn.o_proj (2)", "self_attn.q_proj (2)", "self_attn.v_proj (2)"]
ROUTED = ["mlp.experts.down_proj (2)", "mlp.experts.gate_up_proj (2)"]
SHARED = [f"mlp.shared_expert.{name}_proj (2)" for name in ("down", "gate", "up")]
EXPECTED = {
    "gpt2": ["attn.c_attn (2)", "attn.c_proj (2)", "mlp.c_fc (2)", "mlp.c_proj (2)"],
    "opt": [*("fc1 (2)", "fc2 (2)"), *(f"self_attn.{name}_proj (2)" for name in ("k", "out", "q", "v"))],
    "falcon": [
        *("mlp.dense_4h_to_h (2)", "mlp.dense_h_to_4h (2)", "self_attention.dense (2)"),
        "self_attention.query_key_value (2)",
    ],
    "qwen2_moe": sorted([*ATTENTION, *ROUTED, *SHARED]),
    "qwen3_moe": sorted([*ATTENTION, *ROUTED]),
    "mixtral": sorted([*ATTENTION, *ROUTED]),
    "llama4_text": sorted([*ATTENTION, *(name.replace("mlp", "feed_forward") for name in (*ROUTED, *SHARED))]),
    "hunyuan_v1_moe": sorted([*ATTENTION, *ROUTED, *(name.replace("expert", "mlp") for name in SHARED)]),
}


def with_adapters(kind: str, **lora: object) -> Backbone:
    plain = family_backbone(kind)
    model = add_adapters(plain.model, Lora(rank=4, dropout=0.0, **lora), plain.special)  # type: ignore[arg-type]
    return Backbone(model, plain.tokenizer, plain.special)


@pytest.mark.parametrize("kind", EXPECTED)
def test_what_has_an_adapter(kind: str) -> None:
    backbone = with_adapters(kind)
    assert sorted(in_words(adapted(backbone).names).split(", ")) == EXPECTED[kind]
    assert backbone.config.model_type == kind, "the configuration is as it was"


@pytest.mark.parametrize("kind", [*DENSE, *EXPERTS])
def test_every_matrix_of_a_layer_trains_but_for_routers(kind: str) -> None:
    """A gradient reaches the adapter of every matrix; what has none is a router, a norm or a bias."""
    backbone = with_adapters(kind)
    with torch.no_grad():
        for name, parameter in backbone.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    backbone.model(input_ids=torch.arange(10, 34).view(2, 12)).logits.square().mean().backward()
    trained = {name for name, parameter in backbone.named_parameters() if parameter.requires_grad}
    still = [name for name, parameter in backbone.named_parameters() if name in trained and parameter.grad is None]
    assert still == [], "all that trains takes part"
    bare = [
        name for name, weight in family_model(kind).named_parameters() if weight.ndim >= 2 and re.search(r"\.\d", name)
    ]
    names = adapted(backbone).names
    without = [name for name in bare if name not in names and name.removesuffix(".weight") not in names]
    assert all(re.search(r"router|gate\.|bias|shared_expert_gate", name) for name in without), without


@pytest.mark.parametrize("kind", EXPERTS)
def test_targets_are_what_peft_adapts(kind: str) -> None:
    """peft would take names of some families as transformers 4 had them."""
    plain = family_model(kind)
    wanted, unfit = candidates(plain)
    assert unfit == () and wanted.experts and not any("router" in name for name in wanted.modules)
    found = adapted(with_adapters(kind))
    assert set(found.modules) == set(wanted.modules) and set(found.experts) == set(wanted.experts)


def test_adapters_of_experts_change_what_experts_give() -> None:
    backbone = with_adapters("qwen3_moe", targets=["down_proj"]).eval()
    assert adapted(backbone).modules == () and len(adapted(backbone).experts) == 2
    ids = torch.arange(10, 22)[None]
    with torch.no_grad():
        before = backbone.model(input_ids=ids).logits
        for name, parameter in backbone.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.5)
        assert (backbone.model(input_ids=ids).logits - before).abs().max() > 1e-4


def test_experts_with_dropout_are_refused_with_the_way_out() -> None:
    plain = family_backbone("qwen2_moe")
    with pytest.raises(BackboneError) as error:
        add_adapters(plain.model, Lora(rank=4, dropout=0.1), plain.special)
    assert str(error.value) == (
        "backbone.lora.dropout = 0.1: adapters of routed experts (mlp.experts.gate_up_proj (2), mlp.experts.down_proj "
        "(2)) take no dropout, since each is added to a whole stack of matrices. Set backbone.lora.dropout=0 and no "
        "dropout in any stage (stages.*.dropout=0), or leave the experts without adapters by naming other "
        "backbone.lora.targets"
    )


def test_named_targets_of_a_mixture_leave_the_experts_alone() -> None:
    plain = family_backbone("qwen2_moe")
    model = add_adapters(
        plain.model, Lora(rank=4, dropout=0.1, targets=["q_proj", "shared_expert.up_proj"]), plain.special
    )
    found = adapted(Backbone(model, plain.tokenizer, plain.special))
    assert sorted(in_words(found.names).split(", ")) == ["mlp.shared_expert.up_proj (2)", "self_attn.q_proj (2)"]


@pytest.mark.parametrize("name", ["q_porj", "gate", "router", "shared_expert_gate", "lm_head", "norm"])
def test_a_name_that_fits_no_projection_is_refused_with_those_that_do(name: str) -> None:
    with pytest.raises(BackboneError) as error:
        choose(family_model("qwen2_moe"), ["q_proj", name])
    assert str(error.value) == (
        f"backbone.lora.targets names '{name}', and no projection of 'qwen2_moe' is called so; there are q_proj, "
        "k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj, gate_up_proj, or all-linear for all of them"
    )


def test_a_matrix_that_cannot_have_an_adapter_is_named() -> None:
    model = family_model("llama")
    model.model.layers[1].mlp.mixer = torch.nn.ParameterDict({"weight": torch.nn.Parameter(torch.ones(4, 4))})
    with pytest.raises(BackboneError) as error:
        choose(model, ["all-linear"])
    assert str(error.value) == (
        "backbone.lora.targets=[all-linear] is every attention and MLP projection, and mlp.mixer.weight (1) of 'llama' "
        "cannot have an adapter: name the ones to adapt, backbone.lora.targets=[q_proj, k_proj, v_proj, o_proj, "
        "gate_proj, up_proj, down_proj]"
    )
    assert len(choose(model, ["q_proj"]).modules) == 2


def test_no_adapters_where_every_weight_trains() -> None:
    assert adapted(family_backbone("llama")) == Targets()
