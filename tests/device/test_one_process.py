"""A run whose only process is a group of its own, over the back end that its device talks in, is an ordinary run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch.distributed as dist
from lightning.pytorch.strategies import DDPStrategy

from tests.device import jobs, second
from tests.helpers_ddp import LOOPBACK
from tests.runs import curve, overrides
from tests.training.children import fit_in_child

BACK_END = "nccl" if second.REAL else "gloo"


@dataclass(frozen=True)
class InGroup:
    """A patch: the process trains in a group of one, so that sums, predictions and the wish to stop go through it."""

    def __call__(self) -> None:
        """Put the patch in place."""
        trainer = pl.Trainer

        def made(*, strategy: Any, callbacks: list[pl.Callback], **rest: Any) -> pl.Trainer:
            group = DDPStrategy(process_group_backend=BACK_END)
            return trainer(strategy=group, callbacks=[_Check(), *callbacks], **rest)

        pl.Trainer = made  # type: ignore[assignment,misc]


class _Check(pl.Callback):
    def on_train_start(self, *_: Any) -> None:
        assert (dist.get_backend(), dist.get_world_size()) == (BACK_END, 1)


def test_a_group_of_one_lands_on_the_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME"):
        monkeypatch.setenv(name, LOOPBACK)
    runs = {}
    alone, grouped = (jobs.OnDevice(), jobs.OnDevice(InGroup())) if second.REAL else (None, InGroup())
    for name, patch in (("alone", alone), ("group", grouped)):
        ended = fit_in_child(tmp_path, overrides(tmp_path, f"run.name={name}", *jobs.SHORT, *second.SETTINGS), patch)
        assert ended.status == 0, ended.output
        runs[name] = [record["loss"] for record in curve(tmp_path / name) if "loss" in record]
    assert len(runs["group"]) == jobs.END
    assert runs["group"] == pytest.approx(runs["alone"], rel=1e-3 if second.REAL else 1e-6)
