"""What layers are given in a pass: kept, or replaced.

Axes: B examples, Q tokens of a pass, D width.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any

from torch import Tensor, nn

STATES = "hidden_states"
"""The first input of every layer."""
Changes = Mapping[str, Callable[[Any], Any]]
"""Name of an input to what becomes of it."""


@contextmanager
def recorded(layers: Iterable[nn.Module]) -> Iterator[list[list[Tensor]]]:
    """For each of the layers its inputs [B, Q, D] in the passes made inside."""
    found: list[list[Tensor]] = []

    def recorder(kept: list[Tensor]) -> Callable[..., None]:
        return lambda _, args, named, __: kept.append(args[0] if args else named[STATES])

    with ExitStack() as hooks:
        for layer in layers:  # hooks are called after a layer, because an insertion changes its input before it
            found.append([])
            hooks.enter_context(layer.register_forward_hook(recorder(found[-1]), with_kwargs=True))
        yield found


@contextmanager
def changed(layers: Iterable[nn.Module], changes: Changes) -> Iterator[None]:
    """The layers are given some of their inputs changed in the passes made inside."""
    with ExitStack() as hooks:
        for layer in layers:
            names = (STATES, *inputs_of(layer)[1:])  # some families have another name for the first
            hooks.enter_context(layer.register_forward_pre_hook(changing(names, changes), with_kwargs=True))
        yield


@contextmanager
def replaced(layers: Iterable[nn.Module], inputs: Sequence[Tensor]) -> Iterator[None]:
    """Each of the layers is given this input [B, Q, D] in the pass made inside."""
    with ExitStack() as hooks:
        for layer, own in zip(layers, inputs, strict=True):
            hooks.enter_context(changed([layer], {STATES: partial(_instead, own)}))
        yield


def _instead(own: Tensor, _: Tensor) -> Tensor:
    return own


def inputs_of(layer: nn.Module) -> tuple[str, ...]:
    """Names of a layer's inputs, in their order."""
    return _parameters(type(layer).forward)[1:]


@cache
def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def changing(names: Sequence[str], changes: Changes) -> Callable[[nn.Module, tuple, dict], tuple[tuple, dict]]:
    """A hook that changes inputs before a layer is given them, by position or by name.

    Args:
        names: of the layer's inputs, in their order.
    """

    def change(given: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        return {name: changes[name](value) if name in changes else value for name, value in given}

    def hook(_: nn.Module, args: tuple, named: dict) -> tuple[tuple, dict]:
        return tuple(change(zip(names, args, strict=False)).values()), change(named.items())

    return hook
