"""How many bytes of weights a process holds at once, noted in a file while a run goes on."""

import json
import os
import weakref
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from tests.training.children import Patch

SAMPLES = 12
"""Most looks of a phase: at its first passes it holds what it holds at all of them."""


def bytes_in(parameters: Iterable[Tensor]) -> int:
    """Bytes of slices and whole weights in memory; what has been freed counts nothing."""
    parts = [each.to_local() if isinstance(each, DTensor) else each for each in parameters]
    storages = [part.untyped_storage() for part in parts if not part.is_meta]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


@dataclass(frozen=True)
class Watched:
    """A patch: `held-RANK.json` in a folder has the most bytes of weights held at start, validation and saving.

    `then` is a further patch.
    """

    folder: Path
    then: Patch | None = None

    def __call__(self) -> None:
        """Put the patches in place."""
        from rim.backbone import sharding
        from rim.training.module import RimModule

        peaks: dict[str, int] = {}
        looks: Counter[str] = Counter()
        gathered: weakref.WeakSet[Tensor] = weakref.WeakSet()
        whole_ones: weakref.WeakSet[Tensor] = weakref.WeakSet()
        slices: list[Tensor] = []  # they stay to the end, and what has weak references cannot be moved
        phase = ""

        def made(kind: type[nn.Parameter], *arguments: Any, **named: Any) -> Tensor:
            parameter: Tensor = make(kind, *arguments, **named)
            if isinstance(parameter, DTensor):
                slices.append(parameter)
            else:
                whole_ones.add(parameter)
            return parameter

        def look(name: str, more: int = 0) -> None:
            looks[name] += 1
            if looks[name] <= SAMPLES and (held := bytes_in([*slices, *whole_ones]) + more) > peaks.get(name, 0):
                peaks[name] = held
                (self.folder / f"held-{os.environ['RANK']}.json").write_text(json.dumps(peaks))

        def shard(part: Any, **options: Any) -> Any:
            look("start")
            return cut(part, **options)

        def whole(tensor: Tensor) -> Tensor:
            each = gather(tensor)
            if isinstance(tensor, DTensor):
                gathered.add(each)
                look("save", sum(each.nbytes for each in gathered))
            return each

        def answer(module: RimModule, *batch: Any) -> None:
            nonlocal phase
            phase = "validation"
            validate(module, *batch)
            phase = ""

        def passed(module: nn.Module, *_: Any) -> None:
            if phase and isinstance(module, sharding.FSDPModule):
                look(phase)

        make: Any = nn.Parameter.__new__
        nn.Parameter.__new__ = staticmethod(made)  # type: ignore[assignment]
        cut, gather, validate = sharding.fully_shard, sharding.whole, RimModule.validation_step
        sharding.fully_shard, sharding.whole = shard, whole  # type: ignore[assignment]
        RimModule.validation_step = answer  # type: ignore[method-assign]
        torch.nn.modules.module.register_module_forward_hook(passed)
        if self.then is not None:
            self.then()


def held(folder: Path, rank: int) -> dict[str, int]:
    """What a process has noted."""
    found: dict[str, int] = json.loads((folder / f"held-{rank}.json").read_text())
    return found
