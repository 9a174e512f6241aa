"""Nothing waits for the device but what is listed here: a wait that is added shows.

On the pretended device the lists are exact. A GPU waits for no more than these; where it does is recorded.
"""

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.device import jobs, second, waits
from tests.runs import overrides
from tests.training.children import fit_in_child
from tests.variants import VARIANTS

LIMIT_SECONDS = 240.0
Record = Callable[[str, object], None]
TOLD = "_to_copy.default"
"""What is told of an update and decides whether it is applied, in one go: sums, counts, and the gradient's norm."""
IN_PASSES = ("coconut", "codi", "looped", "looped, parallel steps")
"""Methods that read in several passes over parts of their trees."""
SIZES = {"_local_scalar_dense.default", "index.Tensor", "index_put.default", "index_put_.default", "_to_copy.default"}
"""How many tokens a pass has, and which of them have wanted logits or states, which masks choose; and the empty tensors
with which a layer's cache begins."""


def test_an_update(tmp_path: Path, record_property: Record) -> None:
    """From its batch on the device to its end."""
    line = overrides(tmp_path, *jobs.SHORT, *second.SETTINGS)
    ended = fit_in_child(tmp_path, line, jobs.OnDevice(waits.Watch(tmp_path / "waits.jsonl")))
    assert ended.status == 0, ended.output
    found = [json.loads(row) for row in (tmp_path / "waits.jsonl").read_text().splitlines()]
    assert len(found) == jobs.END
    record_property("waits of an update", len(found[-1]))
    record_property("where", "; ".join(found[-1]))
    for each in found:
        assert len(each) <= 1 if second.REAL else each == [TOLD], each


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_pass(process: ProcessPoolExecutor, variant: str) -> None:
    """Whatever reads once waits for nothing; chains and loops wait for the size of each of their passes."""
    found = process.submit(jobs.there, waits.gradient, variant).result(LIMIT_SECONDS)
    allowed = SIZES if variant in IN_PASSES else set()
    for each in found:
        assert {*each} <= allowed or (allowed and second.REAL), each


def test_an_answer(process: ProcessPoolExecutor, record_property: Record) -> None:
    """Prompts go to the device, tokens come back; no number is asked for in between."""
    found = process.submit(jobs.there, waits.answered).result(LIMIT_SECONDS)
    record_property("waits of an answer in fixed shapes", len(found))
    record_property("where", "; ".join(found))
    assert len(found) <= 23 and (second.REAL or set(found) == {"_to_copy.default"})
