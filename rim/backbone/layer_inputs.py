"""What layers are given in a pass: kept, or replaced.

Axes: B examples, Q tokens of a pass, D width.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from torch import Tensor, nn

_NAME = "hidden_states"


@contextmanager
def recorded(layers: Iterable[nn.Module]) -> Iterator[list[list[Tensor]]]:
    """For each of the layers its inputs [B, Q, D] in the passes made inside."""
    found: list[list[Tensor]] = []

    def recorder(kept: list[Tensor]) -> Callable[..., None]:
        return lambda _, args, named, __: kept.append(args[0] if args else named[_NAME])

    with ExitStack() as hooks:
        for layer in layers:  # hooks are called after a layer, because an insertion changes its input before it
            found.append([])
            hooks.callback(layer.register_forward_hook(recorder(found[-1]), with_kwargs=True).remove)
        yield found


@contextmanager
def changed(layer: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """A layer is given its input [B, Q, D] changed in the passes made inside."""

    def hook(_: nn.Module, args: tuple, named: dict) -> tuple[tuple, dict]:
        return ((change(args[0]), *args[1:]), named) if args else (args, {**named, _NAME: change(named[_NAME])})

    handle = layer.register_forward_pre_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def replaced(layers: Iterable[nn.Module], inputs: Sequence[Tensor]) -> Iterator[None]:
    """Each of the layers is given this input [B, Q, D] in the pass made inside."""
    with ExitStack() as hooks:
        for layer, own in zip(layers, inputs, strict=True):
            hooks.enter_context(changed(layer, partial(_instead, own)))
        yield


def _instead(own: Tensor, _: Tensor) -> Tensor:
    return own
