"""A pretrained model as tests need one: tiny, with random weights, and with the habits of instruct models."""

from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers.processors import TemplateProcessing
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from rim.backbone.tokenizer import build_tokenizer


def write_base(folder: Path, texts: Iterable[str], width: int = 32, positions: int = 160) -> None:
    """A tiny pretrained model as instruct models come: it begins texts, has a chat template, and samples."""
    tokenizer = build_tokenizer(texts, 280)
    tokenizer.add_special_tokens({"bos_token": "<|begin|>"})
    begin = ("<|begin|>", tokenizer.bos_token_id)
    pieces = {"single": "<|begin|> $A", "pair": "<|begin|> $A $B", "special_tokens": [begin]}
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(**pieces)
    tokenizer.chat_template = "{% for message in messages %}User: {{ message['content'] }}{% endfor %}"
    size = {"hidden_size": width, "intermediate_size": 2 * width, "num_hidden_layers": 2, "num_attention_heads": 2}
    more = {"num_key_value_heads": 1, "max_position_embeddings": positions, "tie_word_embeddings": False}
    torch.manual_seed(0)
    settings = AutoConfig.for_model("llama", vocab_size=len(tokenizer), **size, **more)
    model = AutoModelForCausalLM.from_config(settings)
    model.generation_config = GenerationConfig(do_sample=True, temperature=0.6, top_p=0.9, repetition_penalty=1.1)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
