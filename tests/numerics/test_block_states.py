"""Block states at other positions, in every way in which a family takes positions in.

Axes: B examples, S slots, N tokens of a trunk, J columns, H heads, W head width.
"""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rim.backbone.backbone import Backbone
from rim.backbone.block_states import BlockStates, HeldBlocks, LayerStates, adds_positions
from rim.backbone.reading import Wanted, read_once
from rim.base.tree import Tree, TreeBatch, pad
from rim.methods.registry import build_method
from tests.models import config, example, stopped, tiny_backbone
from tests.numerics.inserted import inserted

SPARSE = {"num_local_experts": 2, "num_experts_per_tok": 2}
OLD = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 160, "rotary_dim": 4}


def scaled(kind: str, **more: float) -> tuple[str, str, dict]:
    return "llama", "sdpa", {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, "factor": 4.0, **more}}


ROTARY = [
    ("llama", "sdpa", {}),
    ("qwen3", "sdpa", {}),  # keys are normed before they are rotated
    ("phi", "sdpa", {"partial_rotary_factor": 0.5}),
    ("gpt_neox", "sdpa", {"rotary_pct": 0.5}),  # queries, keys and values in one projection
    ("stablelm", "sdpa", {"partial_rotary_factor": 0.5}),
    ("glm", "sdpa", {"pad_token_id": 0}),  # neighbouring features of a part of each head
    ("cohere", "sdpa", {}),  # neighbouring features
    ("gptj", "eager", OLD),  # tables of its own in each layer
    ("codegen", "eager", OLD),
    ("smollm3", "sdpa", {"no_rope_layers": [1, 0, 1], "pad_token_id": 0}),  # a layer without rotation
    ("llama4_text", "sdpa", {"no_rope_layers": [1, 0, 1], "num_local_experts": 2, "attention_chunk_size": 8192}),
    ("cohere2", "sdpa", {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}),
    ("gemma3_text", "sdpa", {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}),  # two bases
    (  # layers with the keys and values of others
        "gemma4_text",
        "sdpa",
        {
            "num_hidden_layers": 4,
            "num_kv_shared_layers": 2,
            "layer_types": ["sliding_attention", "full_attention"] * 2,
        },
    ),
    ("mistral", "sdpa", {"sliding_window": 8}),
    ("gpt_oss", "eager", SPARSE),
    ("nanochat", "sdpa", {}),  # keys are normed after they are rotated
    scaled("linear"),
    scaled("dynamic"),
    scaled("yarn", original_max_position_embeddings=40),  # tables with a factor
    scaled("llama3", low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=40),
]
LEARNED = [
    ("gpt2", "sdpa", {}),
    ("gpt_bigcode", "sdpa", {}),
    ("opt", "sdpa", {"word_embed_proj_dim": 32, "ffn_dim": 64}),
    ("biogpt", "sdpa", {}),
    ("xglm", "eager", {"d_model": 32, "ffn_dim": 64, "num_layers": 3, "attention_heads": 4}),
]
EXAMPLES = [stopped(example(9, seed=9), 3), example(5, seed=5), stopped(example(14, seed=14), 2, 8)]


def trunks(backbone: Backbone, placement: str = "after_question") -> list[Tree]:
    method = build_method(config(placement=placement), backbone.tokenizer)
    return [method.prompt(of).final.trunk for of in EXAMPLES]


def held(backbone: Backbone, batch: TreeBatch) -> HeldBlocks:
    """Blocks of a batch that is read where it says that it stands."""
    cache = backbone.new_cache()
    outcome = read_once(backbone, batch, Wanted(torch.tensor([0])), cache)
    return HeldBlocks.of(backbone, read_once, batch, outcome.column_BJ, cache)


def close(found: list[LayerStates], wanted: list[LayerStates]) -> None:
    assert len(found) == len(wanted) > 1
    for layer, other in zip(found, wanted, strict=True):
        for part, other_part in zip(layer, other, strict=True):
            torch.testing.assert_close(part, other_part, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("family", "attention", "changes"), ROTARY)
@torch.no_grad()
def test_rotated_states_are_those_of_the_whole_trunk_at_these_positions(
    family: str, attention: str, changes: dict
) -> None:
    """Rotary models know distances alone, so a trunk that is moved as a whole has the same states, rotated."""
    backbone = tiny_backbone(family, attention, **changes)
    batch = pad(trunks(backbone), backbone.special.pad)
    own, states = held(backbone, batch), BlockStates(backbone, trunks(backbone), read_once)
    assert not adds_positions(backbone)
    close(states.at(own.position_BS), own.states())
    shift_B1 = torch.tensor([[11], [0], [20]])
    moved = held(backbone, replace(batch, position_BN=batch.position_BN + shift_B1)).states()
    close(states.at(own.position_BS + shift_B1), moved)
    turned = [keys[0] - old_keys[0] for (keys, _), (old_keys, _) in zip(moved, own.states(), strict=True)]
    assert max(float(difference.abs().max()) for difference in turned) > 0.1


@pytest.mark.parametrize("placement", ["after_question", "sentence_ends"])
@torch.no_grad()
def test_each_key_is_rotated_back_and_forth_by_its_own_angle(placement: str) -> None:
    """The literal reference: every pair of features of every key is turned by the difference of positions."""
    backbone = tiny_backbone("llama")
    own = held(backbone, pad(trunks(backbone, placement), backbone.special.pad))
    position_BS = own.position_BS.flip(0) + torch.arange(own.position_BS.shape[1]) % 3
    found = BlockStates(backbone, trunks(backbone, placement), read_once).at(position_BS)
    frequency = backbone.model.model.rotary_emb.inv_freq
    for (keys, values), (old_keys, old_values) in zip(found, own.states(), strict=True):
        torch.testing.assert_close(values, old_values, atol=1e-5, rtol=1e-5)
        half = keys.shape[-1] // 2
        for pair in range(half):
            angle_BS1 = ((position_BS - own.position_BS) * frequency[pair])[:, :, None]
            first, second = old_keys[..., pair], old_keys[..., pair + half]
            turned = first * angle_BS1.cos() - second * angle_BS1.sin()
            other = second * angle_BS1.cos() + first * angle_BS1.sin()
            torch.testing.assert_close(keys[..., pair], turned, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(keys[..., pair + half], other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("placement", ["after_question", "sentence_ends"])
@pytest.mark.parametrize(("family", "attention", "changes"), LEARNED)
@torch.no_grad()
def test_where_positions_are_learned_the_trunk_is_read_with_its_blocks_elsewhere(
    family: str, attention: str, changes: dict, placement: str
) -> None:
    """The reference: the model itself, given one text and its position ids."""
    backbone = tiny_backbone(family, attention, **changes)
    made = trunks(backbone, placement)
    position_BS = held(backbone, pad(made, backbone.special.pad)).position_BS.flip(0)
    found = BlockStates(backbone, made, read_once).at(position_BS)
    assert adds_positions(backbone)
    for row, tree in enumerate(made):
        memory_N = torch.from_numpy(tree.flat.memory_N)
        position_N = torch.from_numpy(tree.flat.position_N).masked_scatter(memory_N, position_BS[row])
        for layer, wanted in zip(found, plainly(backbone, tree, position_N), strict=True):
            for part, whole_HNW in zip(layer, wanted, strict=True):
                torch.testing.assert_close(part[row], whole_HNW[:, memory_N].transpose(0, 1), atol=1e-5, rtol=1e-5)


def plainly(backbone: Backbone, tree: Tree, position_N: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Keys and values [H, N, W] of every layer for one text without branches."""
    n = len(position_N)
    causal_NN = torch.full((n, n), torch.finfo(torch.float32).min).triu(1)
    cache = backbone.new_cache()
    backbone.model(
        input_ids=torch.from_numpy(tree.flat.ids_N)[None],
        attention_mask=causal_NN[None, None],
        position_ids=position_N[None],
        past_key_values=cache,
        use_cache=True,
    )
    return [(layer.keys[0], layer.values[0]) for layer in cache.layers]


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3_text"])
@torch.no_grad()
def test_memory_that_enters_above_layer_0_has_states_from_there_on(family: str) -> None:
    backbone = inserted(family, 2)
    batch = pad(trunks(backbone), backbone.special.pad)
    own, states = held(backbone, batch), BlockStates(backbone, trunks(backbone), read_once)
    assert len(own.states()) == 2
    close(states.at(own.position_BS), own.states())
    if family != "gpt2":
        moved = held(backbone, replace(batch, position_BN=batch.position_BN + 7)).states()
        close(states.at(own.position_BS + 7), moved)


@torch.no_grad()
def test_slots_have_to_match() -> None:
    backbone = tiny_backbone("llama")
    method = build_method(config(), backbone.tokenizer)
    four, two = (method.prompt(example(), blocks=blocks).trunk for blocks in (4, 2))
    with pytest.raises(ValueError, match="examples have 8 to 16 memory tokens: slots match where all have as many"):
        BlockStates(backbone, [four, two], read_once)
    with pytest.raises(ValueError, match=r"1 x 16 block states are asked for at \(1, 8\) positions"):
        BlockStates(backbone, [four], read_once).at(torch.arange(8)[None])
