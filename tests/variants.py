"""What the contract of methods runs over: every method of the table, and variants of some, as overrides by name."""

from rim.methods.registry import METHODS
from rim.settings import Config
from rim.settings.load import load

VARIANTS: dict[str, tuple[str, ...]] = {
    **{name: (f"method.name={name}",) for name in METHODS},
    "memory_blocks, steps in parallel and in refinement": (
        *("method.name=memory_blocks", "method.parallel_steps=0.05"),
        *("method.fade_floor=0.2", "method.refinement_steps=0.2"),
    ),
    "memory_blocks, distillation": ("method.name=memory_blocks", "method.distillation=1"),
    "memory_blocks, inserted": ("method.name=memory_blocks", "memory.insertion_layer=1"),
    "memory_blocks, before the question": ("method.name=memory_blocks", "memory.placement=before_question"),
    "memory_blocks, at ends of sentences": ("method.name=memory_blocks", "memory.placement=sentence_ends"),
    "memory_blocks, tokens of their own": (
        *("method.name=memory_blocks", "memory.tokens=per_slot_and_block", "data.max_steps=3"),
    ),
    "looped, parallel steps": ("method.name=looped", "method.loops=2", "method.parallel_steps=0.05"),
    "icot, evenly": ("method.name=icot", "method.removed_per_epoch=null"),
    "coconut, no thought": ("method.name=coconut", "method.latents=0"),
}
"""Overrides by name; a method that is added to the table stands here, too."""


def settings(variant: str, *more: str) -> Config:
    """The settings of a variant with its method's own stages, and three blocks in place of eight."""
    return load([], ["memory.blocks=3", *VARIANTS[variant], *more])
