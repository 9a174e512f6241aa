"""Pretrained models: fetched from a folder, the local cache or the hub, and refused where weights did not load."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer
from transformers.utils import CONFIG_NAME

from rim.backbone import gguf
from rim.backbone.attention import check_family
from rim.backbone.backbone import BackboneError
from rim.base.hub import check_reachable
from rim.settings import Backbone as BackboneConfig

WRAPPED = r"(?:(?<=^)|(?<=\.))(?:(?:_orig_mod|module)\.)+"
"""What wrappers put before the names of weights: torch.compile, and data-parallel training."""
TEXT_PART = r"^(?:model\.)?language_model\.(?:model\.)?"
"""What stands before the names of a language model that is a part of a model of several kinds of input."""
DERIVED = re.compile(r"(masked_bias|rotary_emb\.inv_freq|position_ids)$")
"""Buffers that old files store and that models compute anew."""
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
"""Types of `backbone.dtype`."""
SHOWN = 3
"""Names in a message; the others are counted."""


def fetch_tokenizer(config: BackboneConfig) -> Tokenizer:
    """The tokenizer of a pretrained model.

    Raises:
        HubError: it is in no folder or cache, and the hub cannot be reached.
        BackboneError: it is missing or damaged.
    """
    tokenizer: Tokenizer = _fetched("tokenizer", AutoTokenizer.from_pretrained, config)
    if config.gguf_file:
        gguf.split_digits(tokenizer, config)
    return tokenizer


def embedding_rows(config: BackboneConfig) -> int:
    """Rows of the model's embedding, by its configuration alone.

    Raises:
        HubError, AttentionError, BackboneError: as `load_pretrained`.
    """
    published: PretrainedConfig = _fetched("configuration", AutoConfig.from_pretrained, config)
    return int(_text_part(published, config).vocab_size)


def load_pretrained(config: BackboneConfig, *, empty: bool = False) -> PreTrainedModel:
    """A pretrained causal language model with every one of its weights; of a larger model its part for text.

    Args:
        empty: without their values, on the meta device.

    Raises:
        HubError: it is in no folder or cache, and the hub cannot be reached.
        AttentionError: the family cannot read trees.
        BackboneError: files are missing or damaged, or hold other weights than the model has; names them.
    """
    published: PretrainedConfig = _fetched("configuration", AutoConfig.from_pretrained, config)
    if config.gguf_file:
        gguf.require_whole(config)
    text = _text_part(published, config)
    renamed = {} if text is published else {TEXT_PART: "model."}
    load = partial(_load, config, text, empty=empty)
    model, missing, unexpected, shapes = load(renamed)
    if any(re.search(WRAPPED, name) for name in unexpected):
        print(f"weights       of {config.name}: a wrapper's prefix (_orig_mod. or module.) is taken off their names")
        model, missing, unexpected, shapes = load({WRAPPED: "", **renamed})
    if text is not published:
        unexpected = [name for name in unexpected if _is_of(model, name)]
    found = ((name, weight) for name, weight in model.named_parameters() if not weight.is_meta)
    broken = [name for name, weight in found if not torch.isfinite(weight).all()]
    if missing or unexpected or shapes or broken:
        raise BackboneError(_misfit(config, missing, unexpected, shapes, broken))
    entry, head = model.get_input_embeddings(), model.get_output_embeddings()
    model.config.tie_word_embeddings = head is not None and head.weight is entry.weight
    return gguf.plain(model) if config.gguf_file else model


def _text_part(published: PretrainedConfig, config: BackboneConfig) -> PretrainedConfig:
    """The configuration of the language model."""
    check_family(published)
    try:
        text = published.get_text_config()
    except ValueError as error:
        raise BackboneError(
            f"backbone.name '{config.name}' holds several language models ({published.model_type}): use one that "
            "transformers' AutoModelForCausalLM loads as a decoder alone, such as gpt2, llama or qwen3"
        ) from error
    check_family(text)
    return text


def _load(
    config: BackboneConfig, text: PretrainedConfig, renamed: dict[str, str], *, empty: bool
) -> tuple[PreTrainedModel, list[str], list[str], list[str]]:
    """The model, and names of its weights that the files lack, that only the files have, and of other shapes."""

    def load(name: str, **where: Any) -> Any:
        return AutoModelForCausalLM.from_pretrained(
            name,
            config=text,
            key_mapping=renamed or None,
            attn_implementation=config.attention,
            dtype=DTYPES[config.dtype],
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            device_map="meta" if empty else None,
            **where,
        )

    model, info = _fetched("weights", load, config)
    shapes = sorted(f"{name} {list(found)}, here {list(here)}" for name, found, here in info["mismatched_keys"])
    unexpected = sorted(name for name in info["unexpected_keys"] if not DERIVED.search(name))
    return model, sorted(info["missing_keys"]), unexpected, shapes


def _is_of(model: nn.Module, name: str) -> bool:
    """Whether a weight belongs to the model, by where its name begins: others are of images or sound."""
    roots = {".".join(own.split(".")[:2]) for own in model.state_dict()}
    return ".".join(name.split(".")[:2]) in roots


def _misfit(config: BackboneConfig, *names: list[str]) -> str:
    """The message about weights that are missing, unexpected, of another shape, or not finite, in this order."""
    kinds = ("missing, so they would be random", "unexpected", "of another shape", "not finite")
    found = "; ".join(f"{len(part)} {kind}: {_some(part)}" for kind, part in zip(kinds, names, strict=True) if part)
    return (
        f"backbone.name '{config.name}': its files do not hold the weights of its config.json. {found}. Save the model "
        "anew with save_pretrained, or rename its weights. Prefixes of torch.compile and data-parallel training "
        "(_orig_mod., module.) are removed, and a head may be absent where tie_word_embeddings is true"
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _fetched(what: str, load: Callable[..., Any], config: BackboneConfig) -> Any:
    """One part of a pretrained model, from a local folder, the local cache or the hub."""
    where: dict[str, Any] = {"revision": config.revision}
    if config.gguf_file:
        gguf.require_reader(config)
        where["gguf_file"] = config.gguf_file
    check_reachable(
        config.name, "backbone.name", "a local folder with the model and its tokenizer", config.gguf_file or CONFIG_NAME
    )
    try:
        return load(config.name, **where)
    except (OSError, ValueError, ImportError, KeyError, SafetensorError, RuntimeError) as error:
        reason = str(error).strip().partition("\n")[0]
        other = " Some families take backbone.attention=eager only." if "attention implementation" in str(error) else ""
        raise BackboneError(
            f"backbone.name '{config.name}': its {what} cannot be loaded: {reason}.{other} {_needed(config)}"
        ) from error


def _needed(config: BackboneConfig) -> str:
    """The files that a folder must have."""
    if config.gguf_file:
        return f"backbone.gguf_file={config.gguf_file} has to be of a family that transformers reads: {gguf.FAMILIES}"
    found = ", ".join(sorted(file.name for file in Path(config.name).glob("*.gguf")))
    other = f". It holds GGUF: backbone.gguf_file=NAME reads one of {found}" if found else ""
    return (
        "A folder needs config.json, model.safetensors and the files of its tokenizer, as save_pretrained writes them"
        + other
    )
