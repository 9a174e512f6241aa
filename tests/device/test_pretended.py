"""The pretended device itself: it refuses what a GPU refuses, and sees what crosses between it and the program."""

from concurrent.futures import ProcessPoolExecutor
from typing import Any

import torch

from tests.device import pretended
from tests.training.children import forked

LIMIT_SECONDS = 240.0


def test_the_device_refuses_what_a_gpu_refuses_and_sees_what_crosses() -> None:
    with ProcessPoolExecutor(1, forked(), pretended.install) as process:
        crossings = process.submit(crossed).result(LIMIT_SECONDS)
        assert process.submit(mixed).result(LIMIT_SECONDS) == "add.Tensor: [((3,), 'pretended'), ((3,), 'cpu')]"
    assert crossings == {
        "found": {"sum": 6.0, "list": [1.0, 2.0, 3.0]},
        "crossings": ["_to_copy.default", "_local_scalar_dense.default", "_to_copy.default"],  # in, sum, list
    }


def crossed() -> dict[str, Any]:
    """Numbers that were made in main memory, in the ways in which a program can get at them."""
    with pretended.Pretence():
        numbers = torch.tensor([1.0, 2.0, 3.0]).to(pretended.device())
        found = {"sum": numbers.sum().item(), "list": numbers.tolist()}
    return {"found": found, "crossings": list(pretended.CROSSINGS)}


def mixed() -> str:
    """What is said of an addition of tensors on both devices."""
    with pretended.Pretence():
        try:
            torch.ones(3, device=pretended.device()) + torch.ones(3)
        except pretended.BothDevices as error:
            return str(error)
    return "nothing"
