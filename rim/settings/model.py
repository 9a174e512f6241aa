"""Settings of the model: its weights, its adapters, its memory."""

from dataclasses import dataclass, field
from typing import Literal

ATTENTION = ("sdpa", "eager")
"""Attention implementations that honour a four-dimensional mask."""


@dataclass
class Lora:
    """Low-rank adapters, through peft."""

    rank: int = 128
    """Rank of every adapter [paper]."""
    alpha: int = 32
    """Scale; an adapter is multiplied by alpha / rank [open]."""
    dropout: float = 0.1
    """Dropout before every adapter; a stage may set another. Adapters of routed experts take none: set 0 [open]."""
    base_dropout: float | None = 0.0
    """Dropout of the frozen base. 0: the rate of a stage is the only one, in GPT-2 (0.1 of its own) as in Llama (none).
    Empty: the model's own rates [open]."""
    targets: list[str] = field(default_factory=lambda: ["all-linear"])
    """Ends of names of projections, such as q_proj, or `all-linear`: every attention and MLP projection, the stacked
    matrices of routed experts among them; never a router [open]."""


@dataclass
class Scratch:
    """A model with random weights."""

    shape: Literal["gpt2", "llama", "qwen"] = "gpt2"
    """Architecture."""
    layers: int = 8
    """Number of blocks of the transformer."""
    width: int = 64
    """Hidden size."""
    heads: int = 4
    """Attention heads."""
    key_value_heads: int | None = None
    """Key and value heads of llama and qwen; empty: as many as heads."""
    feedforward: int | None = None
    """Width of the MLP; empty: 4 x width."""
    positions: int = 512
    """Longest sequence, in positions."""
    vocabulary: int = 1000
    """Most entries of the tokenizer that is built from the training text."""
    tied: bool = True
    """Whether input and output embeddings are one matrix."""
    dropout: float = 0.0
    """Dropout of the model; a stage may set another. Under LoRA it is `backbone.lora.base_dropout`."""
    spread: float | None = None
    """Standard deviation of the initial weights; empty: 1 / sqrt(width), since 0.02 starves narrow models."""


@dataclass
class Backbone:
    """The causal language model."""

    source: Literal["pretrained", "scratch"] = "pretrained"
    """Weights from a hub name or folder, or random weights of the shape below."""
    name: str = "openai-community/gpt2"
    """Hub name or local folder of a pretrained model and its tokenizer."""
    revision: str | None = None
    """Revision of the hub model; empty: the newest."""
    gguf_file: str | None = None
    """GGUF file in that folder or hub repository, such as model.Q8_0.gguf; its weights are unpacked. Empty: none."""
    start_from: str | None = None
    """Run folder (or file of its `weights/`) whose weights training begins with; empty: those of the source."""
    training: Literal["lora", "full"] = "lora"
    """Adapters plus the three memory rows, or every weight."""
    attention: str = "sdpa"
    """Attention implementation; must honour a four-dimensional mask: sdpa or eager."""
    dtype: Literal["fp32", "bf16"] = "fp32"
    """Type of the frozen weights under lora; bf16 halves their memory. Adapters and memory rows stay fp32 [open]."""
    lora: Lora = field(default_factory=Lora)
    """Adapters, where training is lora."""
    scratch: Scratch = field(default_factory=Scratch)
    """Shape, where source is scratch."""


@dataclass
class Memory:
    """The memory blocks."""

    blocks: int = 8
    """Number of blocks K after a question in refinement and at inference [paper]."""
    tokens_per_block: int = 2
    """Copies M of the memory token in a block [paper]."""
    readout_sees_question: bool = True
    """Whether a readout attends to the question as well as to the blocks [open]."""
    readout_position: Literal["after_block", "after_last_block"] = "after_block"
    """Where the positions of a readout begin: after its own block, or after block K [open]."""
    placement: Literal["after_question", "before_question", "sentence_ends"] = "after_question"
    """Where blocks stand: after the question [paper], before it, or spread over the ends of its sentences."""
    tokens: Literal["shared", "per_slot", "per_slot_and_block"] = "shared"
    """One memory token for all M slots of all blocks [paper], one for each slot, or one for each slot of each block."""
    token_source: Literal["new", "reserved"] = "new"
    """New tokens, for which the embedding grows, or tokens and rows that a pretrained vocabulary has spare: no matrix
    changes its shape, and every engine loads the export. Which ones were taken is printed, and kept with the run."""
    insertion_layer: int = 0
    """Layer at whose input the blocks enter, 0 to layers - 1; below it they do not exist. 0: as tokens [paper]."""
    insertion_position: bool = True
    """Whether blocks that enter above layer 0 get the embedding of their position, where a model adds one (gpt2);
    opt, biogpt and xglm need false."""
