"""Where a run is scored: on the device that it names, or on the CPU of a machine that has none."""

import pytest
import torch

from rim.evaluation.device import scoring_device


@pytest.mark.parametrize(
    ("accelerator", "here", "device"),
    [
        *(("auto", "", "cpu"), ("gpu", "", "cpu"), ("mps", "", "cpu"), ("cpu", "cuda mps", "cpu")),
        *(("auto", "cuda", "cuda"), ("gpu", "cuda", "cuda"), ("mps", "mps", "mps")),
    ],
)
def test_a_run_is_scored_where_there_is_no_such_device_too(
    accelerator: str, here: str, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in here)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in here)
    assert scoring_device(accelerator) == torch.device(device)
