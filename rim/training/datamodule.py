"""The LightningDataModule: draws the rows of every update and lays them out as trees, in lines.

An update takes `batch_size` rows from an endless stream of shuffled epochs, or of a mixture's cycles
(`rim/data/order.py`). They are dealt out to the processes; each puts its own side by side in lines, and cuts the lines
in passes. Which rows an update has depends on the seed, the stage and the number of the update alone, not on the number
of processes, of loader workers, or of interruptions.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import DataLoader

from rim.base.tree import Tree, TreeBatch, pad_lines
from rim.data.encode import EncodedExample
from rim.data.lines import STEP, pack, split
from rim.data.prepare import Splits
from rim.settings import Config
from rim.settings.progress import Progress
from rim.training.plan import Plan, StagePlan

Layout = Callable[[EncodedExample, Progress], Tree]
"""The training tree of an example at a moment of training."""
TOKENS_PER_PASS = 16_384
"""Tokens of a pass where neither the settings say how many nor a trial."""
TOKENS_PER_LINE, PER_WIDTH = 512, 2
"""Tokens of a line, at most, and in units of the model's width D. Attention in a line of N tokens costs N / 6D of the
work of linear layers, so that lines of 2 D cost a third more than no attention at all."""


def tokens_per_line(config: Config) -> int:
    """Tokens of a line: as the settings say, or as fits the model."""
    if config.training.tokens_per_line is not None:
        return config.training.tokens_per_line
    narrow = config.backbone.source == "scratch"
    return min(TOKENS_PER_LINE, PER_WIDTH * config.backbone.scratch.width) if narrow else TOKENS_PER_LINE


@dataclass(frozen=True)
class Place:
    """What one process has of an update before it is laid out: the update within the stage, and rows."""

    update: int
    rows: tuple[int, ...]


@dataclass
class Pass:
    """Lines that are read together, the ids of their examples, and a number: no other pass of the update has it, in no
    process."""

    trees: TreeBatch
    ids: list[str]
    number: int


@dataclass
class TrainingBatch:
    """The passes of one process in an update; they carry their stage, so that none is trained in another's stage."""

    passes: list[Pass]
    stage: int
    update: int

    def to(self, device: torch.device) -> "TrainingBatch":
        """The batch on another device."""
        return replace(self, passes=[replace(part, trees=part.trees.to(device)) for part in self.passes])

    def pin_memory(self) -> "TrainingBatch":
        """The batch in memory from which a GPU copies without anybody waiting."""
        return replace(self, passes=[replace(part, trees=part.trees.pin_memory()) for part in self.passes])


Cuts = Callable[[int], list[TrainingBatch]]
"""Some updates, given the tokens of a pass."""
Room = Callable[[StagePlan, Cuts, int | None], int]
"""Finds how many tokens fit in a pass of a stage: given its heaviest updates, and a number to begin with, if any."""


class DataModule(pl.LightningDataModule):
    """Loaders over encoded splits, laid out by the method; `updates` is the number of updates done.

    Args:
        room: asked at the start of each stage where the settings do not say how many tokens a pass has.
    """

    def __init__(
        self,
        splits: Splits,
        config: Config,
        layout: Layout,
        plan: Plan,
        updates: Callable[[], int],
        pad_id: int,
        room: Room = lambda *_: TOKENS_PER_PASS,
    ) -> None:
        super().__init__()
        self.splits, self.config, self.layout = splits, config, layout
        self.plan, self.updates, self.pad_id, self.room = plan, updates, pad_id, room
        self.found: dict[str, int] = {}
        self._earlier: dict[str, int] = {}

    def train_dataloader(self) -> DataLoader:
        """The updates of this process from the present one to the next validation."""
        stage = self.plan.at(self.updates())
        segment = stage.segment(self.updates())
        places = list(self.places(stage.index, segment, self._rank(), self.config.training.processes))
        on_gpu = self.trainer is not None and self.trainer.strategy.root_device.type == "cuda"
        workers = self.config.data.workers
        workers = int(on_gpu) if workers is None else workers
        return DataLoader(
            places,  # type: ignore[arg-type]  # a list serves as well as a Dataset
            batch_size=None,
            collate_fn=partial(self.lay_out, stage, self.tokens_per_pass(stage)),
            num_workers=workers,
            multiprocessing_context="fork" if workers else None,
            pin_memory=on_gpu,
        )

    def lay_out(self, stage: StagePlan, tokens_per_pass: int, place: Place) -> TrainingBatch:
        """What a process has of an update of a stage: its rows as trees, side by side in lines, and lines in passes."""
        examples, progress = [self.splits.train[row] for row in place.rows], stage.progress(place.update)
        trees = [self.layout(example, progress) for example in examples]
        lengths = [tree.length for tree in trees]
        parts = split(pack(lengths, tokens_per_line(self.config)), lengths, tokens_per_pass)
        passes = [
            Pass(
                pad_lines([[trees[index] for index in line] for line in lines], self.pad_id, STEP),
                [examples[index].id for line in lines for index in line],
                self._rank() + part * self.config.training.processes,
            )
            for part, lines in enumerate(parts)
        ]
        return TrainingBatch(passes, stage.index, place.update)

    def tokens_per_pass(self, stage: StagePlan) -> int:
        """As the settings say, or as many as fit, found once for each stage.

        A run that goes on begins the search with what it had, so that the same noise falls on the same passes.
        """
        name, given = stage.stage.name, self.config.training.tokens_per_pass
        if given is not None:
            return given
        if name not in self.found:
            self.found[name] = self.room(stage, partial(self._heaviest, stage), self._earlier.get(name))
        return self.found[name]

    def _heaviest(self, stage: StagePlan, tokens_per_pass: int) -> list[TrainingBatch]:
        """The rows of the stage's longest updates, as they would be at its beginning and at its end: trees may grow or
        shrink on the way. Longest are those with the most tokens and with the longest row."""
        size, processes = self.config.training.batch_size, self.config.training.processes
        rows = self.splits.train.stream(0, stage.length * size, (self.config.run.seed, stage.index))
        lengths = self._lengths[rows].reshape(stage.length, size)
        longest = {int(lengths.sum(1).argmax()), int(lengths.max(1).argmax())}
        parts = [next(self.places(stage.index, range(u, u + 1), self._rank(), processes)) for u in sorted(longest)]
        moments = sorted({0, stage.length - 1})
        return [self.lay_out(stage, tokens_per_pass, Place(u, part.rows)) for u in moments for part in parts]

    def state_dict(self) -> dict[str, Any]:
        """What has been found to fit."""
        return {"tokens_per_pass": self.found}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what was found before an interruption."""
        self._earlier = state_dict["tokens_per_pass"]

    def val_dataloader(self) -> DataLoader:
        """Rows of the validation set in batches, every process its own share, and as many: the last may be empty.

        No row is answered twice.
        """
        count, processes = len(self.splits.validation), self.config.training.processes
        rows, most = range(count)[self._rank() :: processes], -(-count // processes)
        size = self.config.evaluation.batch_size
        batches = [list(rows[start : start + size]) for start in range(0, most, size)]
        return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]

    def places(self, stage: int, segment: range, rank: int, processes: int) -> Iterator[Place]:
        """The rows of process `rank` in some updates of a stage, in order."""
        size, seed = self.config.training.batch_size, (self.config.run.seed, stage)
        rows = self.splits.train.stream(segment.start * size, segment.stop * size, seed)
        for update in segment:
            whole = rows[(update - segment.start) * size :][:size]
            own = whole[dealt(self._lengths[whole], rank, processes)]
            yield Place(update, tuple(own.tolist()))

    @cached_property
    def _lengths(self) -> np.ndarray:
        """Tokens of every row as text; trees have about as many."""
        return self.splits.train.question_lengths + self.splits.train.chain_lengths(0)

    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer is not None else 0


def dealt(lengths: np.ndarray, rank: int, processes: int) -> np.ndarray:
    """Which rows of an update a process has: the longest first, dealt back and forth, so that all have as much to read.

    Where there are as many rows as processes, everyone has one.
    """
    order = np.argsort(-lengths, kind="stable")
    turn = np.arange(len(order)) % (2 * processes)
    return order[np.minimum(turn, 2 * processes - 1 - turn) == rank]
