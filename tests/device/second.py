"""The second device of these tests: a pretended one, or a real GPU where `RIM_TEST_DEVICE=cuda` asks for it.

The pretended device shows what crosses between device and program, on every machine. The GPU adds real kernels, types
and graphs. The tests are the same, but for what only one of the two can tell.
"""

import os
import traceback
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from tests.device import pretended

VARIABLE = "RIM_TEST_DEVICE"
NAME = os.environ.get(VARIABLE, pretended.NAME)
if NAME not in (pretended.NAME, "cuda"):
    raise ValueError(f"{VARIABLE}={NAME}: there are {pretended.NAME} (the default) and cuda")
REAL = NAME == "cuda"
CLOSE = 1e-3 if REAL else 1e-5
"""Largest relative difference of losses and gradients from the CPU's: a GPU adds up in another order."""
SETTINGS = ("training.accelerator=gpu",) if REAL else ()
"""What a run on the device has in its settings; a pretended one is put in its place by a patch."""
FIXED = "graph" if REAL else "static"
"""The way of decoding in fixed shapes that the device is for."""


def start() -> None:
    """What a process that uses the device begins with."""
    torch.set_num_threads(1)
    if not REAL:
        pretended.install()


def repeatable() -> None:
    """The same run gives the same curve again, as it does on the CPU; before the process has used the device."""
    if REAL:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        torch.use_deterministic_algorithms(True, warn_only=True)


def device() -> torch.device:
    """The device, in a process that has started."""
    return torch.device("cuda", 0) if REAL else pretended.device()


def entered() -> AbstractContextManager[Any]:
    """While it is entered, tensors can be made on the device."""
    return nullcontext() if REAL else pretended.Pretence()


@contextmanager
def watched() -> Iterator[list[str]]:
    """Collects what the program waits for inside the block.

    On the pretended device: the operations that carry tensors or ask for numbers, by name. On a GPU: the lines of ours
    that wait for it, by file and number.
    """
    found: list[str] = []
    with _waits(found) if REAL else _crossings(found):
        yield found


@contextmanager
def _crossings(found: list[str]) -> Iterator[None]:
    before = len(pretended.CROSSINGS)
    yield
    found += pretended.CROSSINGS[before:]


@contextmanager
def _waits(found: list[str]) -> Iterator[None]:
    def note(message: Warning | str, *_: Any, **__: Any) -> None:
        if "synchronizing CUDA operation" in str(message):
            found.append(_line_of_ours())

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


def _line_of_ours() -> str:
    """The innermost line of `rim` that is being run: file, number and function."""
    stack = traceback.extract_stack()[:-2]
    ours = [frame for frame in stack if f"{os.sep}rim{os.sep}" in frame.filename]
    frame = ours[-1] if ours else stack[-1]
    return f"{os.sep.join(frame.filename.split(os.sep)[-3:])}:{frame.lineno} {frame.name}"
