"""What is refused before a model is built, and the masks that each family gets, written out."""

import pytest
import torch
from transformers import AutoConfig

from rim.backbone.attention import UNFIT, AttentionError, attention_mask, check_family
from rim.base.tree import Kind, Node, Tree, pad
from tests.models import model_config


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("bloom", "ALiBi biases count flat distances"),
        ("mpt", "ALiBi biases count flat distances"),
        ("gpt_neo", "its built-in local window counts flat distances"),
        ("mamba", "its recurrent state runs across branches"),
        ("lfm2", "its convolutions run across branches"),
    ],
)
def test_families_past_a_mask_are_refused_by_name(kind: str, reason: str) -> None:
    with pytest.raises(AttentionError, match=f"type '{kind}' cannot read a tree in one pass: {reason}.*Use a family"):
        check_family(AutoConfig.for_model(kind))


@pytest.mark.parametrize("kind", UNFIT)
def test_every_name_in_the_table_is_a_family_of_the_library(kind: str) -> None:
    with pytest.raises(AttentionError):
        check_family(AutoConfig.for_model(kind))


def test_falcon_is_refused_with_alibi_alone() -> None:
    check_family(AutoConfig.for_model("falcon", alibi=False))
    with pytest.raises(AttentionError, match="'falcon' cannot read a tree in one pass: ALiBi"):
        check_family(AutoConfig.for_model("falcon", alibi=True))


@pytest.mark.parametrize("kind", ["gpt2", "llama", "qwen2", "qwen3", "gemma3_text", "mistral"])
def test_families_that_the_message_recommends_pass(kind: str) -> None:
    check_family(AutoConfig.for_model(kind))


# ---------------------------------------------------------------- masks


def visible(mask: torch.Tensor) -> list[str]:
    """Rows of `x` and `.` of the only example of an additive mask, which has just two values."""
    assert mask.shape[:2] == (1, 1) and set(mask.unique().tolist()) <= {0.0, torch.finfo(mask.dtype).min}
    return ["".join("x" if value == 0 else "." for value in row) for row in mask[0, 0].tolist()]


def masks(family: str, dtype: torch.dtype = torch.float32, **changes: object) -> torch.Tensor | dict[str, torch.Tensor]:
    """The mask over: question of two tokens (positions 0, 1), block (2), two leaves of two tokens (3 and 4 each)."""
    leaves = (Node(Kind.STEP, [5, 6], 1), Node(Kind.ANSWER, [7, 8], 1))
    batch = pad([Tree((Node(Kind.QUESTION, [1, 2]), Node(Kind.MEMORY, [3], 0), *leaves))], 0)
    config = model_config(family, **changes)
    return attention_mask(config, batch.visible_BNN(), batch.position_BN, batch.position_BN, dtype)


FULL = ["x......", "xx.....", "xxx....", "xxxx...", "xxxxx..", "xxx..x.", "xxx..xx"]
WINDOW_2 = ["x......", "xx.....", ".xx....", "..xx...", "...xx..", "..x..x.", ".....xx"]
CHUNKS_2 = ["x......", "xx.....", "..x....", "..xx...", "....x..", "..x..x.", "......x"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_full_attention(family: str, dtype: torch.dtype) -> None:
    mask = masks(family, dtype)
    assert isinstance(mask, torch.Tensor) and mask.dtype == dtype
    assert visible(mask) == FULL


def test_a_window_counts_along_the_branch_and_not_in_the_flat_row() -> None:
    """The first token of leaf 2 stands three places after the block, but its position is the next one."""
    mask = masks("mistral", sliding_window=2)
    assert isinstance(mask, torch.Tensor)
    assert visible(mask) == WINDOW_2


def test_layers_of_several_types_get_a_mask_each() -> None:
    types = ["sliding_attention", "full_attention", "sliding_attention"]
    mask = masks("gemma3_text", sliding_window=2, layer_types=types)
    assert isinstance(mask, dict)
    assert {name: visible(one) for name, one in mask.items()} == {"full_attention": FULL, "sliding_attention": WINDOW_2}


def test_chunks_count_along_the_branch() -> None:
    types = ["chunked_attention", "full_attention", "chunked_attention"]
    mask = masks("llama4_text", attention_chunk_size=2, layer_types=types)
    assert isinstance(mask, dict)
    assert visible(mask["chunked_attention"]) == CHUNKS_2


def test_layers_of_an_unknown_type_are_refused_by_name() -> None:
    types = ["linear_attention", "full_attention", "linear_attention"]
    with pytest.raises(AttentionError, match="'qwen3_next' have layers of type linear_attention, for which no mask"):
        masks("qwen3_next", layer_types=types)
