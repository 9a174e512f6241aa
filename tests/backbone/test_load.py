"""Models from scratch: every shape builds as asked, and the seed decides the weights."""

import pytest
import torch

from rim.backbone.backbone import Backbone, BackboneError
from rim.backbone.load import load_backbone, load_tokenizer, scratch_config
from rim.settings import Backbone as Settings
from rim.settings import Scratch
from tests.models import TEXTS


def settings(**shape: object) -> Settings:
    small = {"layers": 2, "width": 32, "heads": 4, "positions": 64, "vocabulary": 280}
    return Settings(source="scratch", training="full", scratch=Scratch(**{**small, **shape}))  # type: ignore[arg-type]


def built(seed: int = 0, **shape: object) -> Backbone:
    made = settings(**shape)
    return load_backbone(made, load_tokenizer(made, lambda: TEXTS), seed)


@pytest.mark.parametrize(("shape", "kind"), [("gpt2", "gpt2"), ("llama", "llama"), ("qwen", "qwen3")])
@pytest.mark.parametrize("tied", [True, False])
def test_shapes(shape: str, kind: str, tied: bool) -> None:
    backbone = built(shape=shape, tied=tied)
    config = backbone.model.config
    assert (config.model_type, config.num_hidden_layers, config.hidden_size) == (kind, 2, 32)
    assert backbone.positions == 64
    entry, head = backbone.model.get_input_embeddings().weight, backbone.model.get_output_embeddings().weight
    assert (entry is head) == tied and len(entry) == len(head) == len(backbone.tokenizer)
    assert all(parameter.requires_grad for parameter in backbone.parameters())


@pytest.mark.parametrize("shape", ["gpt2", "llama", "qwen"])
def test_the_seed_decides_the_weights_and_touches_no_other_random_number(shape: str) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one = built(shape=shape, tied=False).state_dict()
    assert torch.equal(torch.rand(3), expected)
    again, other = built(shape=shape, tied=False).state_dict(), built(1, shape=shape, tied=False).state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_fewer_key_value_heads_and_another_feedforward() -> None:
    layer = built(shape="llama", key_value_heads=2, feedforward=48).model.model.layers[0]
    assert layer.self_attn.k_proj.weight.shape == (2 * 8, 32) and layer.mlp.up_proj.weight.shape == (48, 32)
    assert built(shape="llama").model.model.layers[0].mlp.up_proj.weight.shape == (4 * 32, 32)


@pytest.mark.parametrize("tied", [True, False])
def test_memory_rows_are_near_the_others_and_differ(tied: bool) -> None:
    backbone = built(shape="llama", tied=tied)
    rows = list(backbone.special.memory_tokens)
    for table in (backbone.model.get_input_embeddings(), backbone.model.get_output_embeddings()):
        new, old = table.weight[rows], table.weight[: min(rows)]
        assert len(new.unique(dim=0)) == 3
        assert (new - old.mean(0)).abs().max() < 6 * old.std()


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(BackboneError, match=r"backbone.scratch.width 30 is not a multiple of heads 4"):
        scratch_config(Scratch(width=30, heads=4), 280, 0)
