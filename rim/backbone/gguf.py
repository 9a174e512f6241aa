"""Models in GGUF files, the format of llama.cpp: read through transformers, then made plain models that train and save.

transformers loads such a file as a quantised model, which can be neither trained nor saved, and builds its tokenizer
without the rule that some vocabularies have for digits.
"""

import copy
import importlib.util
from dataclasses import dataclass
from functools import cache
from typing import Any

from tokenizers import pre_tokenizers
from transformers import PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer
from transformers.integrations import GGUF_CONFIG_MAPPING
from transformers.utils import cached_file

from rim.backbone.backbone import BackboneError
from rim.settings import Backbone as BackboneConfig

SPLITS_DIGITS = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
"""Rules of llama.cpp that make every digit a word of its own before GPT-2's rule (`llama-vocab.cpp`)."""
FAMILIES = ", ".join(sorted(GGUF_CONFIG_MAPPING.keys() - {"general"}))
"""What transformers reads, in the words of the files."""
ROTARY_FACTORS = ("rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight")
"""Tensors that scale rotary positions; transformers passes over them without a word."""


@dataclass(frozen=True)
class Header:
    """What a file says about itself: the rule by which it splits text, and its tensors."""

    rule: str
    tensors: tuple[str, ...]


def require_reader(config: BackboneConfig) -> None:
    """Pass where GGUF files can be read.

    Raises:
        BackboneError: the package gguf is not installed; says how it is.
    """
    if importlib.util.find_spec("gguf") is None:
        raise BackboneError(
            f"backbone.gguf_file={config.gguf_file} needs the package gguf, which is not installed: "
            "pip install 'rim[gguf]' (in a checkout: pip install -e '.[gguf]')"
        )


def header(config: BackboneConfig) -> Header:
    """The header of the file that the settings name.

    Raises:
        OSError: there is no such file.
    """
    path = cached_file(config.name, str(config.gguf_file), revision=config.revision)
    return _read(str(path))


@cache
def _read(path: str) -> Header:
    from gguf import GGUFReader  # an extra

    reader = GGUFReader(path)
    rule = reader.get_field("tokenizer.ggml.pre")
    return Header("" if rule is None else str(rule.contents()), tuple(str(tensor.name) for tensor in reader.tensors))


def require_whole(config: BackboneConfig) -> None:
    """Refuse a file of which a part would be passed over.

    Raises:
        BackboneError: names the tensors.
    """
    if lost := [name for name in header(config).tensors if name in ROTARY_FACTORS]:
        raise BackboneError(
            f"backbone.gguf_file={config.gguf_file} scales its rotary positions ({', '.join(lost)}), and transformers "
            "loads such a file without the scale, so every answer would be slightly wrong. Use the model's own "
            "repository with safetensors files (backbone.name=OWNER/MODEL)"
        )


def plain(model: PreTrainedModel) -> PreTrainedModel:
    """The same model with the same weights, no longer counted as quantised."""
    config: Any = copy.deepcopy(model.config)
    del config.quantization_config, config._model_name_or_path  # the latter is a title
    fresh: PreTrainedModel = type(model).from_pretrained(
        None, config=config, state_dict=model.state_dict(), dtype=model.dtype, local_files_only=True
    )
    return fresh.train(model.training)


def split_digits(tokenizer: Tokenizer, config: BackboneConfig) -> None:
    """Let a tokenizer that was read from a file split digits where its vocabulary was made so."""
    backend: Any = tokenizer.backend_tokenizer
    if header(config).rule in SPLITS_DIGITS:
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, backend.pre_tokenizer])
