"""What is done on the second device, in processes that end with their test."""

import importlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy

from rim.backbone.backbone import Backbone
from rim.backbone.decode import greedy
from rim.backbone.fast import FastDecoder
from rim.backbone.tokenizer import Slots
from rim.base.tree import pad
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.settings import Config
from rim.settings.progress import Progress
from tests.device import pretended, second
from tests.models import example, stopped, tiny_backbone, with_adapters
from tests.training.children import Patch
from tests.variants import settings

SHORT = ("stages.0.duration=5 steps", "stages.1.duration=4 steps")
SWITCH, END = 5, 9
"""Length of the stages of a run on the pretended device, which is slow, and updates done when each of them ends."""
EXAMPLES = [stopped(example(length, seed=length), 1) for length in (9, 5, 14)]
NEW = 6
"""Tokens of an answer at most."""


@dataclass(frozen=True)
class OnDevice:
    """A patch: everything that is trained or scored in this process is so on the device.

    `repeatable` is for training, whose sums a GPU takes in any order; answers are to be given as they always are.
    """

    also: Patch | None = None
    repeatable: bool = True

    def __call__(self) -> None:
        """Put the patch in place, for as long as the process lives."""
        second.start()
        if self.repeatable:
            second.repeatable()
        if not second.REAL:
            pretended.Pretence().__enter__()
            _score_there()
            _train_there()
        if self.also is not None:
            self.also()


def _score_there() -> None:
    """Whoever has imported the rule gets another one."""
    from rim.evaluation.device import scoring_device

    for module in list(sys.modules.values()):
        if getattr(module, "scoring_device", None) is scoring_device:
            module.scoring_device = lambda accelerator: pretended.device()  # type: ignore[attr-defined]


def _train_there() -> None:
    trainer = pl.Trainer

    def made(*, accelerator: Any, devices: Any, strategy: Any, **rest: Any) -> pl.Trainer:
        there = SingleDeviceStrategy(device=pretended.device(), accelerator=pretended.PretendedAccelerator())
        return trainer(strategy=there, **rest)

    pl.Trainer = made  # type: ignore[assignment,misc]


COMMANDS = (
    ("evaluate", "evaluation.controls=[removed,swapped,noise]", f"evaluation.decode={second.FIXED}"),
    ("evaluate", "--protocol", "evaluation.selection_rows=4", "evaluation.selection_splits=2"),
    ("ask", "--json", "Ann has the pin. Who has the pin?"),
)
"""What is asked of a finished run."""


def asked(run: Path, patch: Patch | None) -> list[int]:
    """Exit status of every command, in a process that ends afterwards."""
    if patch is not None:
        patch()
    mains = [(importlib.import_module(f"rim.{verb}").main, line) for verb, *line in COMMANDS]
    return [main(["--run", str(run), *line]) for main, line in mains]


@dataclass(frozen=True)
class Outcome:
    """What a job gave on the CPU and on the device, and what it waited for there."""

    cpu: Any
    device: Any
    crossings: list[str]


def on_both(job: Callable[..., Any], *arguments: Any) -> Outcome:
    """A job of this module, done on the CPU and then on the device; its first argument is where."""
    cpu = job(torch.device("cpu"), *arguments)
    with second.entered(), second.watched() as crossings:
        there = job(second.device(), *arguments)
    return Outcome(cpu, there, crossings)


def there(job: Callable[..., Any], *arguments: Any) -> Any:
    """A job, done on the device alone."""
    with second.entered():
        return job(second.device(), *arguments)


def here(job: Callable[..., Any], *arguments: Any) -> Any:
    """A job, done on the CPU alone."""
    return job(torch.device("cpu"), *arguments)


def made(place: torch.device, variant: str) -> tuple[Method, Backbone]:
    """A method and a tiny model there; the family that has rotary positions, where memory may enter above."""
    chosen = settings(variant)
    backbone = tiny_backbone("llama" if "memory" in variant else "gpt2", slots=Slots.of(chosen))
    method = build_method(chosen, backbone.tokenizer)
    method.add_modules(backbone)
    return method, backbone.to(place)


def moments(config: Config) -> Iterator[Progress]:
    """The middle of every stage."""
    for stage in config.stages:
        yield Progress(stage, 500, 1000, 0.75)


def learned(place: torch.device, variant: str) -> list[tuple[float, float]]:
    """Loss, and norm of all gradients, in every stage."""
    method, backbone = made(place, variant)
    found = []
    for progress in moments(method.config):
        backbone.zero_grad()
        trees = pad([method.layout(each, progress) for each in EXAMPLES], backbone.special.pad).to(place)
        losses = method.losses(backbone, trees)
        losses.total.backward()
        norms = [p.grad.norm().item() for p in backbone.parameters() if p.grad is not None]
        found.append((losses.total.item(), sum(norms)))
    return found


def answers(place: torch.device, variant: str) -> list[Any]:
    """By the plain decoder, and by those of fixed shapes."""
    method, backbone = made(place, variant)
    prompts, read = [method.prompt(each) for each in EXAMPLES], method.reader(backbone)
    ways = (greedy, FastDecoder("static"), *([FastDecoder("graph")] if place.type == "cuda" else []))
    return [way(backbone, prompts, NEW, read=read) for way in ways]


def passes(place: torch.device, family: str, training: str, changes: dict[str, Any]) -> list[str]:
    """What crosses while the two passes of a prepared shape are made, as they are recorded for a GPU."""
    plain, quick = tiny_backbone(family, **changes), FastDecoder("static")
    backbone = (with_adapters(plain) if training == "lora" else plain).to(place)
    method = build_method(settings("memory_blocks"), backbone.tokenizer)
    quick(backbone, [method.prompt(each) for each in EXAMPLES], NEW)
    assert quick.last is not None
    with torch.no_grad(), second.watched() as crossings:
        quick.last.prefill()
        quick.last.advance()
    return crossings
