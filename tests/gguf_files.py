"""Tiny GGUF files of a random llama, as llama.cpp's converter writes them."""

import json
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
from gguf import MODEL_ARCH, GGMLQuantizationType, GGUFWriter, get_tensor_name_map
from gguf.quants import quantize
from transformers import PreTrainedModel, PreTrainedTokenizerFast

Change = Callable[[GGUFWriter], object]


def write_gguf(
    file: Path,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    *,
    family: str = "llama",
    rule: str = "smollm",
    kind: GGMLQuantizationType = GGMLQuantizationType.F32,
    without: Collection[str] = (),
    change: Change = lambda writer: None,
) -> None:
    """Write the model; `without` names tensors that are left out, `change` adds to what is written."""
    config = model.config
    writer = GGUFWriter(file, family)
    writer.add_name("A title")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    _add_vocabulary(writer, tokenizer, rule)
    names = get_tensor_name_map(MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, weight in model.named_parameters():
        if (called := names.get_name(name, try_suffixes=(".weight",))) not in without:
            values = _rotary_order(name, weight.detach().numpy(), config)
            small = values.ndim == 1
            data = values if small else quantize(values, kind)
            writer.add_tensor(str(called), data, raw_dtype=GGMLQuantizationType.F32 if small else kind)
    change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: GGUFWriter, tokenizer: PreTrainedTokenizerFast, rule: str) -> None:
    names = sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1])
    special = set(tokenizer.all_special_tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(rule)
    writer.add_token_list([name for name, _ in names])
    writer.add_token_types([3 if name in special else 1 for name, _ in names])
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in merges])
    for add in (writer.add_bos_token_id, writer.add_eos_token_id, writer.add_unk_token_id):
        add(tokenizer.eos_token_id)
    writer.add_add_bos_token(False)
    writer.add_pad_token_id(tokenizer.pad_token_id)


def _rotary_order(name: str, values: np.ndarray, config: object) -> np.ndarray:
    """Queries and keys with the two halves of a head interleaved, as llama.cpp rotates them."""
    heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
    count = next((getattr(config, field) for part, field in heads.items() if part in name), None)
    if count is None:
        return values
    return values.reshape(count, 2, -1, values.shape[1]).swapaxes(1, 2).reshape(values.shape)
