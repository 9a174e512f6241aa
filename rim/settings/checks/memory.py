"""Check that the method uses memory blocks, and that they can be read.

A rule is a generator of (path, sentence).
"""

from collections.abc import Iterator

from rim.settings import Config

WITH_BLOCKS = ("memory_blocks", "pause", "looped")
"""Methods that read blocks after a question."""
MOVABLE = ("memory_blocks", "pause")
"""Methods whose blocks may stand elsewhere and enter above layer 0."""
CHAINED = ("coconut", "codi", "looped")
"""Methods whose passes read what earlier ones have cached, in training, too."""


def readable(config: Config) -> Iterator[tuple[str, str]]:
    """Blocks that the method has none of, or that could not be read where they are to stand."""
    settings, method = config.memory, config.method
    if settings.tokens != "shared" and method.name not in WITH_BLOCKS:
        yield "memory.tokens", f"belongs to {listed(WITH_BLOCKS)}: {method.name} has no blocks; leave it shared"
    if settings.token_source == "reserved" and config.backbone.source == "scratch":
        yield "memory.token_source", "belongs to backbone.source=pretrained: a vocabulary from scratch has none spare"
    if settings.placement != "after_question" and method.name not in MOVABLE:
        yield "memory.placement", f"belongs to {listed(MOVABLE)}, not to {method.name}; leave it after_question"
    if settings.placement == "before_question" and not settings.readout_sees_question:
        yield (
            "memory.placement",
            "needs memory.readout_sees_question=true: blocks before a question know nothing of it, so nobody would",
        )
    if settings.insertion_layer > 0:
        yield from _insertion(config)
    yield from _identities(config)


def recomputable(config: Config) -> Iterator[tuple[str, str]]:
    """Layers that cannot be computed again: a cache would be filled twice."""
    if config.training.checkpointing == "full" and config.method.name in CHAINED:
        yield (
            "training.checkpointing",
            f"excludes method.name={config.method.name}: {listed(CHAINED)} read in several passes through a cache of "
            "keys and values, which layers that are computed again would fill twice; set none",
        )


def compilable(config: Config) -> Iterator[tuple[str, str]]:
    """Layers whose inputs change in a pass, or that read a cache, are not compiled."""
    if not config.training.compile:
        return
    if config.method.name in CHAINED:
        yield (
            "training.compile",
            f"excludes method.name={config.method.name}: {listed(CHAINED)} read in several passes through a cache that "
            "grows, each of a shape of its own; set false",
        )
    if config.memory.insertion_layer > 0:
        yield (
            "training.compile",
            f"excludes memory.insertion_layer={config.memory.insertion_layer}: hooks give the layers other inputs in "
            "every pass, and each would be compiled anew; set false, or memory.insertion_layer=0",
        )


def _insertion(config: Config) -> Iterator[tuple[str, str]]:
    path, method, scratch = "memory.insertion_layer", config.method, config.backbone.scratch
    if method.name not in MOVABLE:
        yield path, f"belongs to {listed(MOVABLE)}, not to {method.name}; leave it 0"
    if method.distillation:
        yield path, "excludes method.distillation: it compares states in every layer, and blocks have none below; set 0"
    if config.backbone.source == "scratch" and config.memory.insertion_layer >= scratch.layers:
        yield path, f"must be at most {scratch.layers - 1}: backbone.scratch.layers = {scratch.layers}, counted from 0"


def _identities(config: Config) -> Iterator[tuple[str, str]]:
    """A block of its own tokens can be read as far as tokens were made."""
    most = max(config.memory.blocks, config.data.max_steps)
    beyond = [blocks for blocks in config.evaluation.blocks if blocks > most]
    if config.memory.tokens == "per_slot_and_block" and beyond:
        yield (
            "evaluation.blocks",
            f"must be at most {most} with memory.tokens=per_slot_and_block: block {most + 1} has no tokens of its own",
        )


def listed(names: tuple[str, ...]) -> str:
    """Names of methods in words."""
    return f"methods {', '.join(names[:-1])} and {names[-1]}"
