"""Build the backbone of a run: pretrained or from scratch, with adapters or without."""

import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

from rim.backbone.activations import fuse_activations
from rim.backbone.adapters import add_adapters
from rim.backbone.attention import check_family
from rim.backbone.backbone import Backbone, BackboneError
from rim.backbone.pretrained import DTYPES, embedding_rows, fetch_tokenizer, load_pretrained
from rim.backbone.reserved import take_reserved
from rim.backbone.tokenizer import (
    OPEN,
    SHARED,
    Slots,
    SpecialTokens,
    TokenizerError,
    add_memory_tokens,
    block_tokens,
    build_tokenizer,
)
from rim.base.chat import end_of_turn, frame_of
from rim.settings import Backbone as BackboneConfig
from rim.settings import Config, Scratch

ALIGNED = 64
"""Rows of frozen matrices that grow are a multiple of this: products with them take a GPU's fast kernels."""


def run_tokenizer(config: Config, texts: Callable[[], Iterable[str]]) -> Tokenizer:
    """The tokenizer that a run begins with; where its questions are chats, texts end as the model ends a turn.

    Raises:
        BackboneError: the chat template writes memory blocks. Or as `load_tokenizer`.
        ChatError: the tokenizer has no chat template, or one that cannot be used.
    """
    tokenizer = load_tokenizer(config.backbone, texts, Slots.of(config))
    if config.data.template == "chat":
        _require_no_blocks(tokenizer, config)
        tokenizer.eos_token = end_of_turn(tokenizer)
    return tokenizer


def _require_no_blocks(tokenizer: Tokenizer, config: Config) -> None:
    """The template of an export writes blocks, which a run would read as a part of each question, besides its own."""
    frame = frame_of(tokenizer, config.data.system)
    if OPEN in frame.before + frame.after:
        raise BackboneError(
            f"data.template=chat: the chat template of '{config.backbone.name}' writes memory blocks, as that of an "
            "export does, and the run would read them besides its own. Put the chat_template.jinja of the model that "
            "the exported run began with in its place, or set data.template=plain"
        )


def load_tokenizer(config: BackboneConfig, texts: Callable[[], Iterable[str]], slots: Slots = SHARED) -> Tokenizer:
    """The tokenizer of the run to start from, of a pretrained model, or a small one built from `texts`.

    Memory tokens are included.

    Raises:
        BackboneError: the run to start from has no tokenizer, or one without the memory tokens of these slots.
    """
    if config.start_from:
        return _tokenizer_of_start(config.start_from, slots)
    if config.source == "scratch":
        tokenizer: Tokenizer = build_tokenizer(texts(), config.scratch.vocabulary)
    else:
        tokenizer = fetch_tokenizer(config)
        if slots.source == "reserved":
            tokenizer = take_reserved(tokenizer, slots.vocabulary(), embedding_rows(config))
    add_memory_tokens(tokenizer, slots)
    return tokenizer


def run_of_start(start_from: str) -> Path:
    """Folder of the run that `backbone.start_from` names: itself, or the one whose `weights/` holds the file."""
    path = Path(start_from)
    return Path(os.path.normpath(path.parent / "..")) if path.suffix == ".safetensors" else path


def _tokenizer_of_start(start_from: str, slots: Slots) -> Tokenizer:
    folder = run_of_start(start_from) / "tokenizer"
    if not folder.is_dir():
        raise BackboneError(
            f"backbone.start_from={start_from}: there is no folder {folder}, and weights mean nothing without the "
            "tokenizer of their run. Name a run folder, or a file of its weights/"
        )
    tokenizer: Tokenizer = AutoTokenizer.from_pretrained(folder)
    try:
        block_tokens(tokenizer, slots)
    except TokenizerError as error:
        raise BackboneError(f"backbone.start_from={start_from}: {error}") from error
    return tokenizer


def load_backbone(
    config: BackboneConfig, tokenizer: Tokenizer, seed: int, architecture: Path | None = None, *, empty: bool = False
) -> Backbone:
    """The model with rows for the memory tokens, adapted as the settings say; the same seed gives the same weights.

    Args:
        config: which model, and what of it trains.
        tokenizer: its memory tokens get rows; the three that every run has are added where they are missing.
        seed: of random weights.
        architecture: folder of a saved configuration, where every weight will be loaded anyway and none is fetched.
        empty: on the meta device, for a process that gets all values from another one (`sharding.py`); GGUF is read all
            the same.

    Raises:
        AttentionError: the family cannot read trees.
        BackboneError: the weights are not to be had, or the shape is impossible.
    """
    special = add_memory_tokens(tokenizer)
    trained: frozenset[int] = frozenset()
    empty = empty and config.gguf_file is None
    place = torch.device("meta") if empty else nullcontext()
    with torch.random.fork_rng(devices=[]), place:  # weights are made in main memory; GPUs are none of their concern
        torch.manual_seed(seed)
        if config.source == "scratch" or architecture is not None:
            model = _random(config, tokenizer, architecture)
        else:
            model = load_pretrained(config, empty=empty)
            _require_rows(model, tokenizer, special)
            trained = _with_rows(config, tokenizer, special)
        check_family(model.config)
        fuse_activations(model)
        tokens = 1 + max(tokenizer.get_vocab().values())
        add_memory_rows(model, special, tokens, seed, frozen=config.training == "lora", trained=trained)
        model.config.use_cache = False
        adapted = add_adapters(model, config.lora, special) if config.training == "lora" else model
    return Backbone(adapted, tokenizer, special)


def _require_rows(model: PreTrainedModel, tokenizer: Tokenizer, special: SpecialTokens) -> None:
    """Every token of a text has a row that the model was trained with; special ones that no text spells need none."""
    table: Any = model.get_input_embeddings()
    rows, ends = len(table.weight), {tokenizer.bos_token_id, tokenizer.eos_token_id}
    added = {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}
    unread = {*special.memory_tokens, *tokenizer.all_special_ids, *added} - ends
    beyond = [name for name, id in tokenizer.get_vocab().items() if id >= rows and id not in unread]
    if beyond:
        raise BackboneError(
            f"the model has no weights for {len(beyond)} tokens of the tokenizer, such as {sorted(beyond)[:3]}: its "
            f"embedding has {rows} rows. Use the tokenizer that the model was trained with"
        )


def _with_rows(config: BackboneConfig, tokenizer: Tokenizer, special: SpecialTokens) -> frozenset[int]:
    """Memory tokens that the pretrained model has trained rows for, as the export of a run has."""
    known, here = fetch_tokenizer(config).get_added_vocab(), tokenizer.get_added_vocab()
    return frozenset(id for name, id in here.items() if id in special.memory_tokens and known.get(name) == id)


def _random(config: BackboneConfig, tokenizer: Tokenizer, architecture: Path | None) -> PreTrainedModel:
    if architecture is not None:
        settings = AutoConfig.from_pretrained(architecture)
    else:
        settings = scratch_config(config.scratch, len(tokenizer), tokenizer.eos_token_id)
    model = AutoModelForCausalLM.from_config(settings, attn_implementation=config.attention)
    for weight in model.parameters():  # buffers, such as the angles of rotary positions, stay as they are
        weight.data = weight.data.to(DTYPES[config.dtype])
    return model


def scratch_config(shape: Scratch, vocabulary: int, end: int) -> PretrainedConfig:
    """The transformers configuration of a model from scratch.

    Raises:
        BackboneError: the heads do not divide the width.
    """
    if shape.width % shape.heads:
        raise BackboneError(f"backbone.scratch.width {shape.width} is not a multiple of heads {shape.heads}")
    common = {
        "vocab_size": vocabulary,
        "tie_word_embeddings": shape.tied,
        "bos_token_id": None,
        "eos_token_id": end,
        "pad_token_id": None,
        "initializer_range": shape.spread if shape.spread is not None else shape.width**-0.5,
    }
    feedforward = shape.feedforward or 4 * shape.width
    if shape.shape == "gpt2":
        drop: dict[str, Any] = {name: shape.dropout for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop")}
        size = {"n_positions": shape.positions, "n_embd": shape.width, "n_layer": shape.layers, "n_head": shape.heads}
        # the same function as GPT-2's own gelu_new, in one kernel instead of six
        drop["activation_function"] = "gelu_pytorch_tanh"
        return AutoConfig.for_model("gpt2", n_inner=feedforward, **size, **drop, **common)
    return AutoConfig.for_model(
        {"llama": "llama", "qwen": "qwen3"}[shape.shape],
        hidden_size=shape.width,
        intermediate_size=feedforward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads or shape.heads,
        head_dim=shape.width // shape.heads,
        max_position_embeddings=shape.positions,
        attention_dropout=shape.dropout,
        **common,
    )


def add_memory_rows(
    model: PreTrainedModel, special: SpecialTokens, tokens: int, seed: int, *, frozen: bool, trained: frozenset[int]
) -> None:
    """Give the memory tokens embedding rows near the mean of the others, in the output matrix too where it is untied.

    Drawn from a generator of their own, so that an untied head, which adapters do not store, is the same after
    loading. Models whose matrix is padded beyond the tokenizer keep its size.

    Args:
        tokens: rows that the tokenizer needs.
        seed: of the rows.
        frozen: the matrices are stored in no run, so where they grow they do so to a multiple of `ALIGNED` rows. There
            are no logits of the further ones: all numbers are those of matrices without them.
        trained: memory tokens whose rows stay as they are.
    """
    for module in model.modules():
        if isinstance(module, nn.Embedding):
            module.padding_idx = None  # or the row of a memory token, or of the end, might never train
    table = model.get_input_embeddings()
    if isinstance(table, nn.Embedding) and table.num_embeddings < tokens:
        model.resize_token_embeddings(tokens, pad_to_multiple_of=ALIGNED if frozen else None, mean_resizing=False)
        _cut_logits(model, tokens)
    generator = torch.Generator().manual_seed(seed)
    rows = torch.tensor(special.memory_tokens)
    others = torch.ones(tokens, dtype=torch.bool).index_fill(0, rows, value=False)
    new = torch.tensor([token not in trained for token in special.memory_tokens])
    tables = (model.get_input_embeddings(), model.get_output_embeddings())
    weights: list[Tensor] = [table.weight for table in tables if isinstance(table, nn.Embedding | nn.Linear)]
    with torch.no_grad():
        for weight in {id(weight): weight for weight in weights if not weight.is_meta}.values():
            old = weight[:tokens][others].float()
            noise = torch.randn(len(rows), weight.shape[1], generator=generator)
            weight[rows[new]] = (old.mean(0) + noise * old.std(0))[new].to(weight.dtype)


def _cut_logits(model: PreTrainedModel, tokens: int) -> None:
    """Let the head give the logits of this many tokens, though it may have more rows."""
    head: Any = model.get_output_embeddings()
    if len(head.weight) > tokens:
        head.out_features = tokens
        head.register_forward_hook(lambda _, __, logits: logits[..., :tokens])
