"""Check controls, further answer rules and readings: all are known, and each adds something.

A rule is a generator of (path, sentence).
"""

from collections.abc import Iterator
from contextlib import suppress

from rim.base.errors import UserError, did_you_mean
from rim.data import answers
from rim.data.registry import parse_source
from rim.settings import Config
from rim.settings.checks.memory import WITH_BLOCKS, listed

CONTROLS = ("removed", "swapped", "noise", "mean", "other_slot", "values_only", "keys_only", "zero")
"""What evaluation can do to the blocks (`rim/evaluation/controls.py`)."""
WITHOUT_ORDER = tuple(name for name in CONTROLS if name != "other_slot")
"""Those that apply where there is one block, which can stand in no other order."""


def possible(config: Config) -> Iterator[tuple[str, str]]:
    """Scoring that the method, the answers or the device do not allow."""
    for index, name in enumerate(config.evaluation.controls):
        if name not in CONTROLS:
            hint = did_you_mean(name, CONTROLS)
            yield f"evaluation.controls[{index}]", f"must be one of {', '.join(CONTROLS)}{hint}"
    read_with = config.evaluation.blocks
    if any(blocks < 1 for blocks in read_with) or len(set(read_with)) < len(read_with):
        yield "evaluation.blocks", "lists numbers of blocks, each once and at least 1; no blocks at all is a control"
    if read_with and config.method.name not in WITH_BLOCKS:
        yield "evaluation.blocks", f"belongs to {listed(WITH_BLOCKS)}: {config.method.name} reads no blocks; leave []"
    if config.evaluation.decode == "graph" and (elsewhere := config.training.accelerator) in ("cpu", "mps"):
        yield (
            "evaluation.decode",
            f"needs a GPU of NVIDIA, not training.accelerator = {elsewhere}; use plain or compiled",
        )
    yield from _rules(config)
    yield from _probe_layer(config)


def _probe_layer(config: Config) -> Iterator[tuple[str, str]]:
    """A layer that the model has not, or in which blocks have no state."""
    path, layer, least = "evaluation.probe_layer", config.evaluation.probe_layer, config.memory.insertion_layer
    layers = config.backbone.scratch.layers
    if layer is None:
        return
    if layer < least:
        yield path, f"must be at least memory.insertion_layer = {least}, since blocks have no states below it"
    if config.backbone.source == "scratch" and layer >= layers:
        yield path, f"must be at most {layers - 1}: backbone.scratch.layers = {layers}, counted from 0"


def _rules(config: Config) -> Iterator[tuple[str, str]]:
    """Further answer rules that there are not, or that have nothing to read."""
    own = _answer_rules(config)
    for index, name in enumerate(config.evaluation.rules):
        path = f"evaluation.rules[{index}]"
        if name not in answers.RULES:
            yield path, known_rules(name)
        elif name in config.evaluation.rules[:index]:
            yield path, "stands there before; once will do"
        elif own and not any(answers.reads(name, each) and name != each for each in own):
            others = [rule for rule in answers.RULES if any(answers.reads(rule, each) and rule != each for each in own)]
            marks = f"marked by {' and '.join(own)}"
            none = f"reads none of the right answers of data.test, which are {marks}"
            rule = f"adds nothing: the tests of data.test are {marks} already" if name in own else none
            yield path, f"{rule}; rules that could stand beside are {', '.join(others)}"


def known_rules(name: str) -> str:
    return f"must be one of {', '.join(answers.RULES)}{did_you_mean(name, answers.RULES)}"


def _answer_rules(config: Config) -> list[str]:
    """The rules of the test sources, as far as they can be named; what cannot is refused with the sources."""
    found: list[str] = []
    for source in config.data.test:
        with suppress(UserError):
            found.append(parse_source(source, config.data).task.answer_rule)
    return [rule for rule in dict.fromkeys(found) if rule in answers.RULES]
