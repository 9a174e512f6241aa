"""Write a model as a Hugging Face folder that needs none of our code."""

from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from rim.backbone.backbone import Backbone
from rim.backbone.memory_rows import MemoryEmbedding
from rim.backbone.pretrained import DTYPES


def write_model(backbone: Backbone, template: str, max_new_tokens: int, dtype: str, folder: Path) -> None:
    """Weights with adapters merged, tokenizer, chat template, and settings of generation that are greedy everywhere.

    The backbone is of no use afterwards: its adapters are merged in place.
    """
    tokenizer, model = backbone.tokenizer, merged(backbone)
    nn.Module.to(model, DTYPES[dtype])
    special = backbone.special
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": special.end, "pad_token_id": special.pad}
    model.config.update({"use_cache": True, **ids})
    model.generation_config = greedy_everywhere(backbone, max_new_tokens)
    model.save_pretrained(folder)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = template  # in the place of the base model's own, which writes no blocks
    tokenizer.padding_side = "left"
    tokenizer.model_input_names = ["input_ids", "attention_mask"]  # token types would be added to GPT-2's embeddings
    tokenizer.init_kwargs |= dict.fromkeys(("padding_side", "model_input_names"))  # names of what is saved
    for name in ("is_local", "local_files_only"):  # of how this process has loaded it
        tokenizer.init_kwargs.pop(name, None)
    tokenizer.save_pretrained(folder)


@torch.no_grad()
def merged(backbone: Backbone) -> PreTrainedModel:
    """The plain model of a backbone: adapters added to its matrices, memory rows written into its embedding."""
    model: Any = backbone.model.float()  # adapters are added to matrices in fp32, whatever these were frozen in
    plain: PreTrainedModel = model.merge_and_unload() if isinstance(model, PeftModel) else model
    embedding: Any = plain.get_input_embeddings()
    if isinstance(embedding, MemoryEmbedding):
        embedding.base.weight[embedding.token_T] = embedding.rows.weight.to(embedding.base.weight.dtype)
        plain.set_input_embeddings(embedding.base)
    head: Any = plain.get_output_embeddings()
    if head.out_features < len(head.weight):  # rows that fill the matrix up have no logits here, and would there
        plain.resize_token_embeddings(head.out_features, mean_resizing=False)
    return plain


def greedy_everywhere(backbone: Backbone, max_new_tokens: int) -> GenerationConfig:
    """Greedy decoding, in vLLM too, which passes `do_sample` over: the one likeliest token is drawn.

    In bf16 several tokens often share the largest logit, and `top_k` keeps them all; `top_p` leaves one, so that a
    question has one answer. Nothing of the base model's own settings stays: penalties and temperatures would change it.
    """
    special = backbone.special
    return GenerationConfig(
        do_sample=True,
        top_k=1,
        top_p=1e-6,
        max_new_tokens=max_new_tokens,
        bos_token_id=backbone.tokenizer.bos_token_id,
        eos_token_id=special.end,
        pad_token_id=special.pad,
        suppress_tokens=sorted(special.memory_tokens),
    )


def load_model(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer of an exported folder, as anyone would load them."""
    return AutoModelForCausalLM.from_pretrained(folder).eval(), load_tokenizer(folder)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """Tokenizer of an exported folder."""
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    return tokenizer
