"""What must be equal is so on another device, in every family, with adapters and without.

On a GPU its own kernels, its types and its graphs have to show it. The pretended device (`second.py`) is slow, so it
does one shape, for tensors that are left behind; the others are done on the CPU. The most telling ones come first.
"""

from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest
import torch

from tests.device import equalities, jobs, second
from tests.device.equalities import SHAPES

LIMIT_SECONDS = 240.0
SLOW = "llama, lora"
CASES = [(shape, jobs.there) for shape in SHAPES]
if not second.REAL:
    CASES = [(SLOW, jobs.there), *((shape, jobs.here) for shape in SHAPES)]
every_shape = pytest.mark.parametrize(
    ("shape", "where"), CASES, ids=[f"{name}, {where.__name__}" for name, where in CASES]
)
Record = Callable[[str, object], None]
Where = Callable[..., Any]


def done(process: ProcessPoolExecutor, where: Where, job: Any, *arguments: Any) -> Any:
    return process.submit(where, job, *arguments).result(LIMIT_SECONDS)


@every_shape
def test_packed_equals_separate(
    process: ProcessPoolExecutor, record_property: Record, shape: str, where: Where
) -> None:
    found = done(process, where, equalities.packed, shape)
    record_property("largest difference of logits", max(difference for difference, _ in found))
    assert all(0 <= difference <= tolerance for difference, tolerance in found)


@every_shape
def test_fixed_shapes_say_what_plain_decoding_says(process: ProcessPoolExecutor, shape: str, where: Where) -> None:
    for mode in dict.fromkeys(("static", second.FIXED)):
        found, plain = done(process, where, equalities.decoded, shape, mode, torch.float32, "plain")
        assert found == plain, mode
    if second.REAL:  # in bf16 nearly equal logits tie where shapes differ, so graphs are compared with what they record
        found, called = done(process, where, equalities.decoded, shape, "graph", torch.bfloat16, "static")
        assert found == called


@every_shape
def test_cached_equals_uncached(process: ProcessPoolExecutor, shape: str, where: Where) -> None:
    cached, anew = done(process, where, equalities.uncached, shape)
    assert cached == anew


@every_shape
def test_batched_equals_single(process: ProcessPoolExecutor, shape: str, where: Where) -> None:
    together, alone = done(process, where, equalities.batched, shape)
    assert together == alone


@pytest.mark.parametrize("shape", SHAPES)
def test_bf16_stays_near_fp32(process: ProcessPoolExecutor, record_property: Record, shape: str) -> None:
    """On the pretended device there is no autocast, so the CPU takes its place."""
    half, whole = done(process, jobs.there if second.REAL else jobs.here, equalities.rounded, shape)
    record_property(
        "largest relative difference of losses", max(abs(a / b - 1) for a, b in zip(half, whole, strict=True))
    )
    assert half != whole and half == pytest.approx(whole, rel=0.05)


@pytest.mark.parametrize("training", ["full", "lora"])
def test_random_weights_are_drawn_where_the_model_runs(process: ProcessPoolExecutor, training: str) -> None:
    found = done(process, jobs.there, equalities.drawn, training)
    assert set(found.values()) == {second.NAME} and len(found) > 20
