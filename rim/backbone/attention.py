"""From visibility to the attention mask that a model family expects, and the families that cannot take one.

Axes: B examples, Q query tokens, J key tokens (cached ones first).
"""

import torch
from torch import Tensor
from transformers import PretrainedConfig

from rim.base.errors import UserError

_ALIBI = "ALiBi biases count flat distances, not positions along a branch"
_RECURRENT = "its recurrent state runs across branches"

UNFIT = {
    **dict.fromkeys(("bloom", "mpt"), _ALIBI),
    "gpt_neo": "its built-in local window counts flat distances",
    **dict.fromkeys(("mamba", "mamba2", "falcon_mamba", "jamba", "rwkv", "recurrent_gemma"), _RECURRENT),
    **dict.fromkeys(("qwen3_next", "qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"), _RECURRENT),
    "lfm2": "its convolutions run across branches",
    "openai-gpt": "its layers take a mask of padding alone",
}
"""Families that no mask makes right. The self-check at the start of a run finds the ones that are missing here."""


class AttentionError(UserError):
    """A model, or an attention implementation, under which a tree cannot be right."""


def check_family(config: PretrainedConfig) -> None:
    """Refuse model families whose layers carry information past a mask.

    Raises:
        AttentionError: the family is known to be unfit; the text says why.
    """
    kind = config.model_type
    reason = UNFIT.get(kind)
    if kind == "falcon" and getattr(config, "alibi", False):
        reason = _ALIBI
    if reason is not None:
        raise AttentionError(
            f"models of type '{kind}' cannot read a tree in one pass: {reason}. "
            "Use a family with full or windowed attention, such as gpt2, llama, qwen2, qwen3, gemma3 or mistral"
        )


def attention_mask(
    config: PretrainedConfig, visible_BQJ: Tensor, query_BQ: Tensor, key_BJ: Tensor, dtype: torch.dtype
) -> Tensor | dict[str, Tensor]:
    """The additive mask [B, 1, Q, J] with 0 for visible and `finfo.min` for hidden, in the form of the family.

    Additive, because a boolean mask is silently wrong under `eager`; `finfo.min`, because minus infinity gives NaN on
    rows that see nothing. Layers with a window get a mask of their own, where distance is
    counted in position ids, as along each branch. A model whose layers differ takes a dictionary by layer type.

    Args:
        visible_BQJ: bool, whether query q attends to key j.
        query_BQ: position ids of the queries.
        key_BJ: position ids of the keys.
    """
    full = _additive(visible_BQJ, dtype)
    types = set(getattr(config, "layer_types", None) or ())
    window = getattr(config, "sliding_window", None)
    if types == {"full_attention"} or (not types and window is None):
        return full
    near_BQJ = query_BQ[:, :, None] - key_BJ[:, None, :] < (window or 0)
    if not types:
        return _additive(visible_BQJ & near_BQJ, dtype)
    masks = {"full_attention": full}
    if "sliding_attention" in types:
        masks["sliding_attention"] = _additive(visible_BQJ & near_BQJ, dtype)
    if "chunked_attention" in types:
        chunk = config.attention_chunk_size
        same = (query_BQ // chunk)[:, :, None] == (key_BJ // chunk)[:, None, :]
        masks["chunked_attention"] = _additive(visible_BQJ & same, dtype)
    if unknown := types - masks.keys():
        raise AttentionError(
            f"models of type '{config.model_type}' have layers of type {', '.join(sorted(unknown))}, for which no mask "
            "over a tree is known; known types: full_attention, sliding_attention, chunked_attention"
        )
    return masks


def _additive(visible_BQJ: Tensor, dtype: torch.dtype) -> Tensor:
    mask = torch.zeros(visible_BQJ.shape, dtype=dtype, device=visible_BQJ.device)
    return mask.masked_fill_(~visible_BQJ, torch.finfo(dtype).min)[:, None]
