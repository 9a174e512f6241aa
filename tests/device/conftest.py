"""The process in which jobs are done on the second device."""

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.device import second
from tests.training.children import forked


@pytest.fixture(scope="module")
def process() -> Iterator[ProcessPoolExecutor]:
    """One process that has the device installed, or has a GPU."""
    with ProcessPoolExecutor(1, forked(), second.start) as pool:
        yield pool
