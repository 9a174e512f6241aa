"""Dropout rates: where a model keeps them, how they are set, and the check that they act.

Families apply dropout in modules (`nn.Dropout`), by functions whose rate is an attribute of a layer
(`self.attention_dropout`), or by functions whose rate is read from the configuration. All three are set.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Tensor, nn

from rim.backbone.backbone import Backbone, BackboneError

Part = Literal["whole", "base", "adapters"]
"""Which rates: all of a model, those of the frozen base, or those of its adapters."""

RATE = re.compile(r"(^|_)(dropout|pdrop)(_|$)")
"""Names of rates: `attention_dropout`, `resid_pdrop`, `hidden_dropout_prob`; not `layerdrop`, which drops layers."""
ADAPTER = "lora_dropout"
PROBE, PROBED = 0.5, 48
"""Rate and most tokens of the passes that are compared: a small rate might drop nothing in so short a text."""
NEAR = 1e-5
"""Largest difference of equal passes, as a share of the largest logit: not every kernel of a GPU repeats bit by bit."""


_Place = tuple[Any, str]
"""Who holds a rate, and the name of the attribute."""


def set_dropout(model: nn.Module, rate: float, part: Part = "whole") -> None:
    """Set every dropout rate of a part of the model: of modules, of attributes and of the configuration."""
    for owner, name in _places(model, part):
        setattr(owner, name, rate)


def check_dropout(backbone: Backbone, rate: float, setting: str, part: Part = "whole") -> None:
    """Check that a rate acts: at 0 two passes in training mode agree, above 0 they differ.

    Rates and mode of the backbone are restored. Adapters are not checked: untrained, they add nothing to the output.

    Args:
        rate: the rate that a run will set.
        setting: the name of its setting, for the message.

    Raises:
        BackboneError: the family keeps its rates where they cannot be set, or has no dropout at all.
    """
    with _unchanged(backbone), torch.random.fork_rng([backbone.device] if backbone.device.type == "cuda" else []):
        set_dropout(backbone, 0.0)
        set_dropout(backbone, PROBE if rate else 0.0, part)
        backbone.train()
        one, other = _logits(backbone, 1), _logits(backbone, 2)
        same = bool((one - other).abs().max() <= NEAR * one.abs().max())
    if same == (rate == 0):
        return
    found = "apply no dropout that could be set" if same else "drop or jitter states by a rate that cannot be set"
    raise BackboneError(
        f"{setting} = {rate:g} would not act: models of type '{backbone.config.model_type}' {found}. "
        f"Leave {setting} empty (null) to keep the model as it is, or use another backbone"
    )


def _places(model: nn.Module, part: Part) -> Iterator[_Place]:
    """Where the rates of a part are."""
    configurations: dict[int, Any] = {}
    for path, module in model.named_modules():
        if part != "whole" and (ADAPTER in path) != (part == "adapters"):
            continue
        if isinstance(module, nn.Dropout):
            yield module, "p"
        yield from _rates(module)
        if part != "adapters" and (config := getattr(module, "config", None)) is not None:
            configurations[id(config)] = config
    for config in configurations.values():
        yield from _rates(config)


def _rates(owner: Any) -> Iterator[_Place]:
    for name, value in vars(owner).items():
        if RATE.search(name) and isinstance(value, int | float) and not isinstance(value, bool):
            yield owner, name


@contextmanager
def _unchanged(backbone: Backbone) -> Iterator[None]:
    """All rates and the mode are put back."""
    training, rates = backbone.training, [(*place, getattr(*place)) for place in _places(backbone, "whole")]
    try:
        yield
    finally:
        for owner, name, rate in rates:
            setattr(owner, name, rate)
        backbone.train(training)


@torch.no_grad()
def _logits(backbone: Backbone, seed: int) -> Tensor:
    """[1, N, V] logits of a pass in training mode whose noise has this seed."""
    torch.manual_seed(seed)
    count = min(PROBED, backbone.positions or PROBED)
    ids_1N = torch.arange(count, device=backbone.device)[None] % backbone.special.open
    return backbone.read_text(ids_1N).float()
