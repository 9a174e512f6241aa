"""The layers of a model under torch.compile, in the passes of training alone.

Decoding goes on as it was, since a pass over a cache that grows has a shape of its own for every token. In training
passes are compiled for the first shape of a batch, then for all shapes of several lines, and for a single line.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from rim.base.errors import UserError

AS_EAGER = {"options": {"fallback_random": True}}
"""Dropout draws the noise that it draws without compilation."""
COMPILERS = {"cpu": ("CXX", ("g++", "clang++")), "cuda": ("CC", ("gcc", "clang"))}
"""What torch's code generator calls, by kind of device: what a variable names, or else one of these."""


class CompilerError(UserError):
    """A compiler that torch.compile needs and that is not there."""


class CompiledLayers:
    """The module that holds the layers, and its forward pass as compiled."""

    def __init__(self, layers: nn.Module, options: dict[str, Any]) -> None:
        self.layers = layers
        self.forward = torch.compile(layers.forward, **(options or AS_EAGER))

    @contextmanager
    def acting(self) -> Iterator[None]:
        """Inside, the compiled pass stands in the place of the module's own."""
        self.layers.forward = self.forward
        try:
            yield
        finally:
            del self.layers.forward


def require_compiler(
    kind: str, setting: str = "training.compile = true", instead: str = "set training.compile=false"
) -> None:
    """Refuse, before anything is built, what torch.compile could not do on a kind of device.

    Args:
        setting: what asks for it, and `instead` the way without it, both for the message.

    Raises:
        CompilerError: none of the compilers is on the path.
    """
    variable, usual = COMPILERS.get(kind, COMPILERS["cpu"])
    names = (os.environ[variable],) if os.environ.get(variable) else usual
    if not any(shutil.which(name) for name in names):
        raise CompilerError(
            f"{setting}: torch.compile needs a compiler on this device, and there is no {' or '.join(names)} on the "
            f"path; install one, name one in the variable {variable}, or {instead}"
        )
