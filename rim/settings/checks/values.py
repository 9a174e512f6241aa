"""Check sizes, rates and names that are wrong whatever the method.

A rule is a generator of (path, sentence).
"""

import re
from collections.abc import Iterator
from typing import Any

from rim.base.errors import did_you_mean
from rim.settings import ATTENTION, Config, schema
from rim.settings.training import LOGGERS

_FROM_ZERO = {
    *("run.seed", "data.tracking.seed", "data.arithmetic.seed", "data.gsm8k_renumbered.seed", "data.workers"),
    *("method.latents", "memory.insertion_layer", "evaluation.probe_layer"),
}
"""Whole numbers that may be 0; every other one is at least 1."""
SEEDS = 2**64


def value_at(config: Config, path: str) -> Any:
    """The value at a path such as `stages[0].name`."""
    node: Any = config
    for part in re.findall(r"[^.\[\]]+", path):
        node = node[int(part)] if part.isdecimal() else getattr(node, part)
    return node


def sizes(config: Config) -> Iterator[tuple[str, str]]:
    """Whole numbers that are too small, a seed that is too large, and penalties that are negative."""
    for path, kind in schema.leaves():
        if int in schema.alternatives(kind) and path != "memory.blocks" and not path.startswith("stages"):
            value, least = value_at(config, path), 0 if path in _FROM_ZERO else 1
            if value is not None and value < least:
                yield path, f"must be at least {least}"
    if config.memory.blocks < 1:
        yield "memory.blocks", "must be at least 1; a model without blocks is method.name=direct"
    if config.run.seed >= SEEDS:
        yield "run.seed", f"must be below 2^64 = {SEEDS}: torch has no further seeds"
    for path in ("training.weight_decay", "training.clip"):
        if not 0 <= value_at(config, path) < float("inf"):
            yield path, "must be 0 or more"


def _any_below_one(*sizes: int | None) -> bool:
    return any(size is not None and size < 1 for size in sizes)


def names(config: Config) -> Iterator[tuple[str, str]]:
    """Names that no folder, backbone or adapter can have."""
    if not re.fullmatch(r"[\w.+-]+(/[\w.+-]+)*", config.run.name) or ".." in config.run.name.split("/"):
        yield "run.name", "names a folder: letters, digits, and . _ + - only, with / between folders"
    if config.backbone.attention not in ATTENTION:
        hint = did_you_mean(config.backbone.attention, ATTENTION)
        allowed = " or ".join(ATTENTION)
        yield "backbone.attention", f"must be {allowed}: others do not honour a four-dimensional mask{hint}"
    if not config.backbone.lora.targets:
        yield (
            "backbone.lora.targets",
            "must name a module, or be [all-linear]; to train every weight: backbone.training=full",
        )


def loggers(config: Config) -> Iterator[tuple[str, str]]:
    """Loggers that there are not, or that are named twice."""
    named = config.training.loggers
    for index, name in enumerate(named):
        if name not in LOGGERS:
            yield f"training.loggers[{index}]", f"must be one of {', '.join(LOGGERS)}{did_you_mean(name, LOGGERS)}"
        elif name in named[:index]:
            yield f"training.loggers[{index}]", "stands there before; once will do"


def batches(config: Config) -> Iterator[tuple[str, str]]:
    """A batch that has not an example for every device."""
    training = config.training
    sizes = (training.batch_size, training.nodes, training.devices)
    if not _any_below_one(*sizes) and training.batch_size < training.processes:
        rule = f"must be at least nodes x devices = {training.processes}: every device needs an example"
        yield "training.batch_size", rule


def types(config: Config) -> Iterator[tuple[str, str]]:
    """Rounded weights where they train, or where arithmetic is finer."""
    if config.backbone.dtype == "fp32":
        return
    if config.backbone.training == "full":
        yield (
            "backbone.dtype",
            "rounds frozen weights, and with backbone.training=full none is frozen: small updates would be lost in the "
            "rounding. Set backbone.dtype=fp32; training.precision=bf16 makes the arithmetic bf16",
        )
    elif config.training.precision == "fp32":
        yield "backbone.dtype", "needs training.precision=bf16: arithmetic on such weights is bf16"


def heads(config: Config) -> Iterator[tuple[str, str]]:
    """Initial weights without a spread, and heads that a model cannot be built with."""
    shape = config.backbone.scratch
    if shape.spread is not None and not 0 < shape.spread < float("inf"):
        yield "backbone.scratch.spread", "must be above 0, such as 0.02; empty: 1 / sqrt(width)"
    if _any_below_one(shape.width, shape.heads, shape.key_value_heads):
        return  # refused as sizes
    if shape.width % shape.heads:
        fitting = ", ".join(str(heads) for heads in range(1, min(shape.width, 64) + 1) if shape.width % heads == 0)
        yield "backbone.scratch.heads", f"must divide width = {shape.width}: {fitting}"
    elif shape.shape != "gpt2" and shape.width // shape.heads % 2:
        size = shape.width // shape.heads
        yield (
            "backbone.scratch.heads",
            f"gives heads of width {size}, and {shape.shape}'s rotary positions need an even one",
        )
    if shape.key_value_heads is not None and shape.shape == "gpt2":
        yield "backbone.scratch.key_value_heads", "belongs to shapes llama and qwen, not to gpt2; leave it empty"
    elif shape.key_value_heads is not None and shape.heads % shape.key_value_heads:
        fitting = ", ".join(str(heads) for heads in range(1, shape.heads + 1) if shape.heads % heads == 0)
        yield "backbone.scratch.key_value_heads", f"must divide heads = {shape.heads}: {fitting}"


def rates(config: Config) -> Iterator[tuple[str, str]]:
    """Dropouts, rates, confidence and moments beyond their range."""
    dropouts = ["backbone.lora.dropout", "backbone.lora.base_dropout", "backbone.scratch.dropout"]
    dropouts += [f"stages[{i}].dropout" for i in range(len(config.stages))]
    for path in dropouts:
        if (dropout := value_at(config, path)) is not None and not 0 <= dropout < 1:
            yield path, "a dropout is at least 0 and below 1"
    backbone = config.backbone
    if (backbone.source, backbone.training) == ("scratch", "lora") and backbone.scratch.dropout:
        yield "backbone.scratch.dropout", "acts in a model whose every weight trains; set backbone.lora.base_dropout"
    if not 0 < config.evaluation.confidence < 1:
        yield "evaluation.confidence", "lies between 0 and 1, such as 0.95"
    if len(config.training.betas) != 2 or not all(0 <= beta < 1 for beta in config.training.betas):
        yield "training.betas", "must be two numbers, each at least 0 and below 1, such as [0.9, 0.999]"
    for index, stage in enumerate(config.stages):
        if not 0 < stage.learning_rate < float("inf"):
            yield f"stages[{index}].learning_rate", "must be above 0"
