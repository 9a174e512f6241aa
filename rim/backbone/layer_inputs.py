"""What layers are given in a pass: kept, or replaced.

Axes: B examples, Q tokens of a pass, D width.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

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
def replaced(layers: Iterable[nn.Module], inputs: Sequence[Tensor]) -> Iterator[None]:
    """Each of the layers is given this input [B, Q, D] in the pass made inside."""

    def replacer(own: Tensor) -> Callable[..., tuple[tuple, dict]]:
        return lambda _, args, named: ((own, *args[1:]), named) if args else (args, {**named, _NAME: own})

    with ExitStack() as hooks:
        for layer, own in zip(layers, inputs, strict=True):
            hooks.callback(layer.register_forward_pre_hook(replacer(own), with_kwargs=True).remove)
        yield
