"""What axes, values and points are called."""

from collections.abc import Mapping, Sequence
from typing import Any

from rim.studies.sweeps.outcome import Axis
from rim.studies.sweeps.space import short_names

WORDS = {
    "memory.blocks": "blocks K",
    "memory.tokens_per_block": "memory tokens per block M",
    "memory.insertion_layer": "insertion layer ℓ (0 = embeddings)",
    "memory.placement": "where the blocks stand",
    "memory.tokens": "identity of memory tokens",
    "memory.readout_sees_question": "whether a readout sees the question",
    "method.name": "method",
    "method.fade": "fade of the step weights λ",
    "method.fade_floor": "weight at which steps stop fading",
    "method.block_weights": "weights α of the blocks",
    "method.refinement_steps": "weight of steps in refinement",
    "method.grounding_target": "what a block is read as",
    "method.distillation": "weight of distillation",
    "method.parallel_steps": "weight of parallel steps",
    "backbone.lora.rank": "rank of the adapters",
    "backbone.lora.alpha": "scale α of the adapters",
    "backbone.scratch.layers": "layers L",
    "backbone.scratch.width": "width D",
    "training.batch_size": "batch size (examples)",
    "training.duration": "length of training",
    "data.train_rows": "training examples",
}
"""Path of a setting → its name with its unit; of others the last part of the path is read as words."""


def in_words(axis: Axis) -> str:
    """The label of an axis; a setting of one stage says of which, counted from 0 as in its path."""
    if axis.name in WORDS:
        return WORDS[axis.name]
    *above, last = axis.name.split(".")
    words = last.replace("_", " ")
    numbered = [part for part in above if part.isdecimal()]
    return f"{words} of {above[0].removesuffix('s')} {numbered[0]}" if numbered else words


def text_of(value: Any) -> str:
    """A value as it is written in a file, numbers in at most four digits that count."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.4g}".replace("e-0", "e-").replace("e+0", "e")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(text_of, value)) + "]"
    return str(value)


def label_of(values: Mapping[str, Any], axes: Sequence[Axis]) -> str:
    """A point in one line: `blocks=4, insertion_layer=2`."""
    names = short_names([axis.name for axis in axes])
    return ", ".join(f"{names[axis.name]}={text_of(values.get(axis.name))}" for axis in axes)
