"""What runs on the CPU runs on another device and says the same there; no tensor is left behind on the wrong one.

The device is pretended (`pretended.py`): it shows which tensors would not meet on a GPU, and what a program would wait
for. Of a GPU's kernels, types and speed it says nothing. `RIM_TEST_DEVICE=cuda` puts a real GPU in its place
(`second.py`); experiments/gpu does so.
"""

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from tests.device import jobs, second
from tests.numerics.test_packed import FAMILIES
from tests.runs import curve, overrides
from tests.training.children import Strike, fit_in_child
from tests.variants import VARIANTS

LIMIT_SECONDS = 240.0


def done(process: ProcessPoolExecutor, job: Any, *arguments: Any) -> jobs.Outcome:
    return process.submit(jobs.on_both, job, *arguments).result(LIMIT_SECONDS)


def test_a_killed_run_ends_as_an_uninterrupted_one_and_is_scored_alike(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Training, the choice of weights, resuming, scores, controls, early reading and their timing.

    The uninterrupted run is one on the CPU, where the device is pretended. On a GPU dropout draws other numbers, so
    there it is one on the GPU, too.
    """
    line = overrides(tmp_path, "run.name=there", *jobs.SHORT, *second.SETTINGS)
    killed = fit_in_child(tmp_path, line, jobs.OnDevice(Strike("on_train_batch_end", jobs.SWITCH + 2)))
    assert killed.status == -9, killed.output
    ended = fit_in_child(tmp_path, line, jobs.OnDevice())
    assert ended.status == 0, ended.output
    reference = jobs.OnDevice() if second.REAL else None
    ended = fit_in_child(tmp_path, overrides(tmp_path, "run.name=here", *jobs.SHORT, *second.SETTINGS), reference)
    assert ended.status == 0, ended.output
    mine, whole = losses(tmp_path / "there"), losses(tmp_path / "here")
    record_property(
        "largest relative difference of losses", max(abs(a / b - 1) for a, b in zip(mine, whole, strict=True))
    )
    assert mine == pytest.approx(whole, rel=1e-4)
    answering = jobs.OnDevice(repeatable=False)
    for name, patch in (("here", answering if second.REAL else None), ("there", answering)):
        with ProcessPoolExecutor(1, get_context("forkserver")) as process:
            assert process.submit(jobs.asked, tmp_path / name, patch).result(LIMIT_SECONDS) == [0, 0, 0]
    assert results(tmp_path / "there") == results(tmp_path / "here")


def losses(run: Path) -> list[float]:
    """One for every update."""
    found = [record["loss"] for record in curve(run) if "loss" in record]
    assert len(found) == jobs.END
    return found


def results(run: Path) -> list[Any]:
    """Scores, controls and the choice among weights."""
    files = [run / "results" / f"tracking-test{name}.json" for name in ("", "-protocol")]
    return [json.loads(file.read_text()) for file in files]


@pytest.mark.parametrize("training", ["full", "lora"])
@pytest.mark.parametrize(("family", "changes"), FAMILIES)
def test_nothing_crosses_in_passes_that_a_gpu_records(
    process: ProcessPoolExecutor, family: str, changes: dict[str, Any], training: str
) -> None:
    """A CUDA graph cannot wait for the program, and would keep what was brought in when it was recorded."""
    assert done(process, jobs.passes, family, training, changes).device == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_and_gradients_of_every_method(process: ProcessPoolExecutor, variant: str) -> None:
    there = done(process, jobs.learned, variant)
    assert len(there.device) > 0
    for mine, expected in zip(there.device, there.cpu, strict=True):
        assert mine == pytest.approx(expected, rel=second.CLOSE)


@pytest.mark.parametrize("variant", VARIANTS)
def test_answers_of_every_method(process: ProcessPoolExecutor, variant: str) -> None:
    """On a GPU also by graphs."""
    there = done(process, jobs.answers, variant)
    assert there.crossings
    assert all(each == there.cpu[0] for each in (*there.cpu, *there.device))
