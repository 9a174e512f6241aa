"""What a program waits for on the second device: in an update of training, and in an answer."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch

from rim.backbone.fast import FastDecoder
from rim.base.tree import pad_lines
from rim.methods.registry import build_method
from tests.device import jobs, second
from tests.models import config, tiny_backbone


@dataclass(frozen=True)
class Watch:
    """A patch: every update of a run writes a line to a file, all that it waits for once its batch is on the device."""

    file: Path

    def __call__(self) -> None:
        """Put the patch in place."""
        trainer, watcher = pl.Trainer, _Watcher(self.file)

        def made(*, callbacks: list[pl.Callback], **rest: Any) -> pl.Trainer:
            return trainer(callbacks=[watcher, *callbacks], **rest)

        pl.Trainer = made  # type: ignore[assignment,misc]


class _Watcher(pl.Callback):
    def __init__(self, file: Path) -> None:
        self.file = file

    def on_train_batch_start(self, *_: Any) -> None:
        self.watching = second.watched()
        self.found = self.watching.__enter__()

    def on_train_batch_end(self, *_: Any) -> None:
        self.watching.__exit__(None, None, None)
        with open(self.file, "a", encoding="utf-8") as file:
            file.write(json.dumps(self.found) + "\n")


def gradient(place: torch.device, variant: str) -> list[list[str]]:
    """What the passes of a method wait for, forward and backward, in the middle of every stage."""
    method, backbone = jobs.made(place, variant)
    waits = []
    for progress in jobs.moments(method.config):
        trees = [method.layout(each, progress) for each in jobs.EXAMPLES]
        batch = pad_lines([trees[:2], trees[2:]], backbone.special.pad).to(place)
        with second.watched() as found:
            method.losses(backbone, batch).total.backward()
        waits.append(found)
    return waits


def answered(place: torch.device) -> list[str]:
    """What an answer waits for in fixed shapes that have been prepared."""
    backbone, quick = tiny_backbone("llama").to(place), FastDecoder(second.FIXED)
    rows = [build_method(config(), backbone.tokenizer).prompt(each) for each in jobs.EXAMPLES]
    quick(backbone, rows, jobs.NEW)
    with second.watched() as found:
        quick(backbone, rows, jobs.NEW)
    return found
