"""Families of causal language models that can read trees, each tiny: what transformers calls them, and their sizes."""

import copy

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from rim.backbone.backbone import Backbone
from rim.backbone.tokenizer import add_memory_tokens, build_tokenizer
from tests.models import TEXTS

SIZES = {
    **{"hidden_size": 32, "n_embd": 32, "intermediate_size": 64, "ffn_dim": 64, "moe_intermediate_size": 32},
    **{"num_hidden_layers": 2, "n_layer": 2, "num_attention_heads": 4, "n_head": 4, "num_key_value_heads": 2},
    **{"attention_heads": 4, "num_layers": 2, "d_model": 32, "word_embed_proj_dim": 32, "head_dim": 8},
    **{"shared_expert_intermediate_size": 32, "num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2},
    **{"vocab_size": 300, "max_position_embeddings": 160, "n_positions": 160, "rotary_dim": 4, "dff": 64},
    **{"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None},
}
"""Every family takes those that it knows."""

DENSE = (
    *("apertus", "arcee", "biogpt", "codegen", "cohere", "cohere2", "ernie4_5", "exaone4", "falcon", "gemma", "gemma2"),
    *(
        "gemma3_text",
        "glm",
        "glm4",
        "gpt2",
        "gpt_bigcode",
        "gpt_neox",
        "gptj",
        "granite",
        "helium",
        "llama",
        "ministral",
    ),
    *("mistral", "nanochat", "nemotron", "olmo", "olmo2", "olmo3", "opt", "persimmon", "phi", "phi3"),
    *("qwen2", "qwen3", "seed_oss", "smollm3", "stablelm", "starcoder2", "xglm"),
)
EXPERTS = (
    "gpt_oss",
    "granitemoe",
    "hunyuan_v1_moe",
    "jetmoe",
    "llama4_text",
    "mixtral",
    "olmoe",
    "qwen2_moe",
    "qwen3_moe",
)
"""Mixtures of experts."""
EAGER = ("codegen", "gemma2", "gpt_oss", "gptj", "xglm")
"""Families that refuse the implementation sdpa."""


def family_model(kind: str, **changes: object) -> PreTrainedModel:
    """A random model of a family, in training mode as transformers makes it; the same every time."""
    base = AutoConfig.for_model(kind)
    known = {name: value for name, value in SIZES.items() if hasattr(base, name) or name in base.attribute_map}
    if kind == "falcon":
        del known["head_dim"]
    config = AutoConfig.for_model(kind, **{**known, **changes})
    torch.manual_seed(1)
    attention = "eager" if kind in EAGER else "sdpa"
    model: PreTrainedModel = AutoModelForCausalLM.from_config(copy.deepcopy(config), attn_implementation=attention)
    return model


def family_backbone(kind: str, **changes: object) -> Backbone:
    """The same with a tokenizer."""
    tokenizer = build_tokenizer(TEXTS, 280)
    return Backbone(family_model(kind, **changes), tokenizer, add_memory_tokens(tokenizer))
