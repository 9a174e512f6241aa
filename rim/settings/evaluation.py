"""Settings of scoring."""

from dataclasses import dataclass, field
from typing import Literal

DecodeMode = Literal["plain", "static", "compiled", "graph"]
"""Ways of decoding, all with the same answers (`rim/backbone/fast.py`)."""


@dataclass
class Evaluation:
    """Scoring."""

    batch_size: int = 64
    """Questions answered together."""
    max_new_tokens: int | None = None
    """Longest answer, in tokens; empty: as long as the longest answer, or whole chain, of all that the run reads."""
    decode: DecodeMode = "plain"
    """Way of decoding: plain, or in fixed shapes, static, compiled (torch.compile) or graph (CUDA graphs, on a GPU
    alone). The answers are the same. Where states are changed (controls) or looked at (--adaptive), plain always."""
    controls: list[str] = field(default_factory=lambda: ["removed", "swapped", "noise"])
    """What is done to the blocks in further passes: removed, swapped, noise, mean, other_slot, values_only, keys_only,
    zero (docs/evaluate.md)."""
    blocks: list[int] = field(default_factory=list)
    """Numbers of blocks that the finished model is also read with, besides `memory.blocks`."""
    rules: list[str] = field(default_factory=list)
    """Further answer rules reported beside the task's own, such as last_number; they never choose a checkpoint."""
    confidence: float = 0.95
    """Confidence of every interval."""
    selection_rows: int = 264
    """Rows that choose a checkpoint in each random split of the selection protocol [paper]."""
    selection_splits: int = 16
    """Random splits of the selection protocol [paper]."""
    probe_rows: int = 256
    """Rows of `data.validation` that fit the probe of `--adaptive`, drawn by seed [paper]."""
    probe_layer: int | None = None
    """Layer whose output the probe reads, counted from 0; empty: the last [open]."""
