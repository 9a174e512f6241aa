"""Tiny models and examples that tests share. Weights are scaled up, so that a wrong mask shows."""

import copy
from dataclasses import replace

import numpy as np
import torch
from transformers import AutoConfig, AutoModelForCausalLM, PretrainedConfig

from rim.backbone.adapters import add_adapters
from rim.backbone.backbone import Backbone
from rim.backbone.tokenizer import SHARED, Slots, add_memory_tokens, build_tokenizer
from rim.data.encode import EncodedExample
from rim.data.report import Report
from rim.settings import Config, Lora, Stage, default_stages
from rim.settings.progress import Progress

TEXTS = ["Ann has 3 cups and gets 4 more.", "Bob and Cy swap. Who has the key?", "<<3+4=7>> <<7*2=14>>"]
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4, "head_dim": 8}


def model_config(family: str, **changes: object) -> PretrainedConfig:
    """A configuration of two to three layers, without dropout."""
    if family == "gpt2":
        base = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 160}
        base |= {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    else:
        base = {**SIZES, "num_key_value_heads": 2, "max_position_embeddings": 160}
    base |= {"vocab_size": 300, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": None, "tie_word_embeddings": True}
    return AutoConfig.for_model(family, **{**base, **changes})


def tiny_backbone(family: str = "gpt2", attention: str = "sdpa", slots: Slots = SHARED, **changes: object) -> Backbone:
    """A random model with a tokenizer of its own; there is room for 17 memory tokens besides the three."""
    tokenizer = build_tokenizer(TEXTS, 280)
    special = add_memory_tokens(tokenizer, slots)
    torch.manual_seed(1)
    config = model_config(family, **changes)
    model = AutoModelForCausalLM.from_config(copy.deepcopy(config), attn_implementation=attention)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.mul_(4)
    model.eval()
    return Backbone(model, tokenizer, special)


def with_adapters(plain: Backbone, *targets: str) -> Backbone:
    """The same model with adapters and memory rows that do something: as they begin they are zero.

    Without `targets` every linear layer has an adapter.
    """
    lora = Lora(rank=4, alpha=8, dropout=0.0, targets=list(targets) or ["all-linear"])
    model = add_adapters(plain.model, lora, plain.special)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)) * 0.3)
    return Backbone(model.eval(), plain.tokenizer, plain.special)


def example(question: int = 9, steps: tuple[int, ...] = (3, 2, 4), answer: int = 2, seed: int = 0) -> EncodedExample:
    """An encoded example of random tokens; arguments are lengths."""
    draw = np.random.default_rng(seed)
    parts = [draw.integers(10, 250, size) for size in (question, *steps, answer)]
    return EncodedExample(f"test/{seed}", parts[0], tuple(parts[1:-1]), parts[-1], "7", "a question")


def stopped(of: EncodedExample, *places: int) -> EncodedExample:
    """The example with a full stop at these places of its question, and a space after each."""
    stop, space = build_tokenizer(TEXTS, 280).convert_tokens_to_ids([".", "Ġ"])
    question = of.question.copy()
    for place in places:
        question[place : place + 2] = stop, space
    return replace(of, question=question)


class Rows(list[EncodedExample]):
    """A split of examples in memory."""

    answer_rule = "text"

    @property
    def report(self) -> Report:
        return Report("memory/test", len(self), len(self), encoded="of these rows")

    @property
    def question_lengths(self) -> np.ndarray:
        return np.array([len(each.question) for each in self])

    def rule_of(self, row: int) -> str:
        return self.answer_rule


def at(objective: str, progress: float = 0.0, **stage: object) -> Progress:
    """A moment of a stage of 1,000 updates and one epoch."""
    return Progress(Stage(objective, objective, **stage), round(progress * 1000), 1000, progress)  # type: ignore[arg-type]


def config(method: str = "memory_blocks", **memory: object) -> Config:
    """Settings of a method with its own stages."""
    made = Config()
    made.method.name = method  # type: ignore[assignment]
    made.stages = default_stages(method)
    made.memory.blocks = 4
    for name, value in memory.items():
        setattr(made.memory, name, value)
    return made
