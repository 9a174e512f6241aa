"""Nothing waits for the device but what is listed here: a wait that is added shows.

On the pretended device the lists are exact. A GPU waits for no more than these; where it does is recorded.
"""

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from tests.device import jobs, second, waits
from tests.runs import END, overrides
from tests.training.children import fit_in_child

LIMIT_SECONDS = 240.0
Record = Callable[[str, object], None]
TALLY, NORM = "_to_copy.default", "_local_scalar_dense.default"
"""Sums and counts of a micro-batch, and the gradient's norm of an update."""
PARTS = 2
"""Micro-batches of an update."""


def test_an_update(tmp_path: Path, record_property: Record) -> None:
    """From its batch on the device to its end."""
    line = overrides(tmp_path, *second.SETTINGS)
    ended = fit_in_child(tmp_path, line, jobs.OnDevice(waits.Watch(tmp_path / "waits.jsonl")))
    assert ended.status == 0, ended.output
    found = [json.loads(row) for row in (tmp_path / "waits.jsonl").read_text().splitlines()]
    assert len(found) == PARTS * END
    record_property("waits of a micro-batch that ends an update", len(found[-1]))
    record_property("where", "; ".join(found[-1]))
    for part, each in enumerate(found, 1):
        known = sorted([TALLY, *([NORM] if part % PARTS == 0 else [])])
        assert len(each) <= len(known) if second.REAL else sorted(each) == known, each


def test_an_answer(process: ProcessPoolExecutor, record_property: Record) -> None:
    """Prompts go to the device, tokens come back; no number is asked for in between."""
    found = process.submit(jobs.there, waits.answered).result(LIMIT_SECONDS)
    record_property("waits of an answer in fixed shapes", len(found))
    record_property("where", "; ".join(found))
    assert len(found) <= 20 and (second.REAL or set(found) == {"_to_copy.default"})
