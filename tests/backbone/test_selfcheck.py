"""The check at the start of a fit passes on right models and stops wrong ones, whatever makes them wrong."""

import copy
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from rim.backbone import backbone as backbone_module
from rim.backbone.attention import AttentionError, attention_mask
from rim.backbone.backbone import Backbone
from rim.backbone.dropout import set_dropout
from rim.backbone.selfcheck import self_check
from rim.base.tree import Tree
from rim.methods.registry import build_method
from tests.families import DENSE, EXPERTS, family_backbone
from tests.models import at, config, example, model_config, tiny_backbone

WRONG = {
    "mpt": {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 160},
    "gpt_neo": {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]}
    | {"window_size": 4, "max_position_embeddings": 160},
    "rwkv": {"hidden_size": 32, "num_hidden_layers": 2},
}
"""Families that the table of `attention.py` refuses, tiny, as they would be if it did not."""


def trees(
    backbone: Backbone, objective: str = "refinement", method: str = "memory_blocks", **memory: Any
) -> list[Tree]:
    made = build_method(config(method, **memory), backbone.tokenizer)
    return [made.layout(example(q, s, seed=q), at(objective, 0.0)) for q, s in [(9, (3, 2, 4)), (14, ())]]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("objective", ["grounding", "refinement"])
def test_right_models_pass(family: str, attention: str, objective: str) -> None:
    backbone = tiny_backbone(family, attention)
    made = trees(backbone, objective)
    check = self_check(backbone, made)
    assert check.difference < 1e-5 < check.tolerance < 1e-3
    assert check.predictions == sum(int((tree.flat.weight_N > 0).sum()) for tree in made)
    assert check.longest == max(tree.flat.position_N.max() for tree in made) + 1


@pytest.mark.parametrize(("method", "objective"), [("cot", "chain"), ("direct", "answer")])
def test_other_methods_pass(method: str, objective: str) -> None:
    backbone = tiny_backbone("llama")
    check = self_check(backbone, trees(backbone, objective, method))
    assert check.difference < 1e-5


def test_dropout_is_off_during_the_check_and_on_again_after_it() -> None:
    backbone = tiny_backbone("gpt2")
    set_dropout(backbone, 0.5)
    backbone.train()
    check = self_check(backbone, trees(backbone))
    assert check.difference < 1e-5
    assert backbone.training and backbone.model.training


@pytest.mark.parametrize("memory", [{"readout_sees_question": False}, {"readout_position": "after_last_block"}])
def test_trees_that_no_plain_text_equals_are_checked_as_plain_ones(memory: dict) -> None:
    backbone = tiny_backbone("llama")
    special = self_check(backbone, trees(backbone, **memory))
    assert special == self_check(backbone, trees(backbone))
    assert special.difference < 1e-5


@pytest.mark.parametrize("family", WRONG)
def test_families_past_a_mask_are_stopped_without_the_table_too(family: str) -> None:
    base = tiny_backbone()
    settings = {"vocab_size": 300, "bos_token_id": 0, "eos_token_id": 0, **WRONG[family]}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(family, **settings), attn_implementation="eager")
    _scale(model)
    backbone = Backbone(model.eval(), base.tokenizer, base.special)
    wanted = rf"failed on '{family}' with attention 'eager': packed and separate passes differ by \d.*, allowed is 0\.0"
    with pytest.raises(AttentionError, match=wanted):
        self_check(backbone, trees(backbone))


def test_alibi_of_bloom_does_not_pass_unseen() -> None:
    """Bloom cannot even take the mask, and the check says so; should that change, it must find the difference."""
    base = tiny_backbone()
    settings = {"vocab_size": 300, "hidden_size": 32, "n_layer": 2, "n_head": 4}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("bloom", **settings), attn_implementation="eager")
    _scale(model)
    backbone = Backbone(model.eval(), base.tokenizer, base.special)
    wanted = "on 'bloom' with attention 'eager': a pass over a tree ended in ValueError: too many values to unpack.*use"
    with pytest.raises(AttentionError, match=wanted):
        self_check(backbone, trees(backbone))


@pytest.mark.parametrize("kind", [*DENSE, *EXPERTS])
def test_every_family_of_the_table_passes_with_a_short_window(kind: str) -> None:
    backbone = family_backbone(kind)
    if getattr(backbone.config, "sliding_window", None):
        backbone = family_backbone(kind, sliding_window=6)
    with torch.no_grad():
        _scale(backbone.model)
    assert self_check(backbone, trees(backbone)).difference < 2e-5


def boolean(*arguments: Any) -> torch.Tensor:
    """The mask as it must not be: true and false are added as 1 and 0 under eager."""
    mask = attention_mask(*arguments)
    assert isinstance(mask, torch.Tensor)
    return mask == 0


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("fault", ["boolean", "none"])
def test_wrong_masks_are_caught(family: str, attention: str, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A boolean mask is right under sdpa and silently wrong under eager; without a mask both read one flat text."""
    backbone = tiny_backbone(family, attention)
    monkeypatch.setattr(backbone_module, "attention_mask", boolean if fault == "boolean" else lambda *_: None)
    if (fault, attention) == ("boolean", "sdpa"):
        check = self_check(backbone, trees(backbone))
        assert check.difference < 1e-5
        return
    with pytest.raises(AttentionError, match=f"on '{family}' with attention '{attention}': .* ignores the mask"):
        self_check(backbone, trees(backbone))


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_positions_of_the_flat_row_are_caught(family: str) -> None:
    backbone = tiny_backbone(family)
    right = backbone.model.forward

    def flat_positions(position_ids: torch.Tensor | None = None, **rest: Any) -> Any:
        if position_ids is not None:
            position_ids = torch.arange(position_ids.shape[1]).expand_as(position_ids)
        return right(position_ids=position_ids, **rest)

    backbone.model.forward = flat_positions
    with pytest.raises(AttentionError, match="packed and separate passes differ"):
        self_check(backbone, trees(backbone))


def test_results_that_are_no_numbers_do_not_pass() -> None:
    backbone = tiny_backbone("llama")
    with torch.no_grad():
        next(backbone.model.parameters()).fill_(float("nan"))
    with pytest.raises(AttentionError, match="differ by nan"):
        self_check(backbone, trees(backbone))


def test_bf16_has_a_wider_tolerance_that_still_tells() -> None:
    settings = model_config("llama")
    base = tiny_backbone()
    model = AutoModelForCausalLM.from_config(copy.deepcopy(settings), attn_implementation="sdpa", dtype=torch.bfloat16)
    backbone = Backbone(model.eval(), base.tokenizer, base.special)
    check = self_check(backbone, trees(backbone))
    assert 1e-6 < check.difference < check.tolerance


def _scale(model: torch.nn.Module) -> None:
    """Larger weights, so that a wrong path shows."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(4)
