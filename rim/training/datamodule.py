"""The LightningDataModule: draws the rows of every update and lays them out as trees.

An update takes `batch_size` rows from an endless stream of shuffled epochs, or of a mixture's cycles
(`rim/data/order.py`), cut in micro-batches that are dealt out to the processes in turn. What an update contains depends
on the seed, the stage and the number of the update alone, not on the number of processes, of loader workers, or of
interruptions.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import lightning.pytorch as pl
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from rim.data.encode import EncodedExample
from rim.data.joined import Split
from rim.data.prepare import Splits
from rim.settings import Config, Training
from rim.settings.moment import Moment
from rim.training.plan import Plan, StagePlan
from rim.tree import Tree, TreeBatch, pad

Layout = Callable[[EncodedExample, Moment], Tree]
"""The training tree of an example at a moment of training."""


@dataclass(frozen=True)
class Place:
    """A micro-batch before it is laid out: its update within the stage, its number within the update, its rows."""

    update: int
    part: int
    rows: tuple[int, ...]


@dataclass
class TrainingBatch:
    """A laid out micro-batch; it carries its stage and update, so that no batch is trained in another's stage."""

    trees: TreeBatch
    ids: list[str]
    stage: int
    update: int
    part: int

    def to(self, device: torch.device) -> "TrainingBatch":
        """The batch on another device."""
        return replace(self, trees=self.trees.to(device))


def micro_batch_size(training: Training) -> int:
    """Examples per forward pass on one device."""
    return training.micro_batch_size or training.batch_size // training.devices


class StageDataset(Dataset):
    """Lays out micro-batches of one stage for one process."""

    def __init__(self, split: Split, layout: Layout, stage: StagePlan, pad_id: int, places: list[Place]) -> None:
        self.split, self.layout, self.stage, self.pad_id = split, layout, stage, pad_id
        self.places = places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> TrainingBatch:
        place = self.places[index]
        examples = [self.split[row] for row in place.rows]
        moment = self.stage.moment(place.update)
        trees = pad([self.layout(example, moment) for example in examples], self.pad_id)
        ids = [example.id for example in examples]
        return TrainingBatch(trees, ids, self.stage.index, place.update, place.part)


class DataModule(pl.LightningDataModule):
    """Loaders over encoded splits, laid out by the method; `updates` is the number of updates done."""

    def __init__(
        self, splits: Splits, config: Config, layout: Layout, plan: Plan, updates: Callable[[], int], pad_id: int
    ) -> None:
        super().__init__()
        self.splits, self.config, self.layout = splits, config, layout
        self.plan, self.updates, self.pad_id = plan, updates, pad_id

    def train_dataloader(self) -> DataLoader:
        """The micro-batches of this process from the present update to the next validation."""
        stage = self.plan.at(self.updates())
        segment = stage.segment(self.updates())
        places = list(self.places(stage.index, segment, self._rank(), self.config.training.devices))
        dataset = StageDataset(self.splits.train, self.layout, stage, self.pad_id, places)
        workers = self.config.data.workers
        context = "fork" if workers else None
        return DataLoader(dataset, batch_size=None, num_workers=workers, multiprocessing_context=context)

    def val_dataloader(self) -> DataLoader:
        """Rows of the validation set in batches, every process its own share.

        No row is answered twice, except where there are fewer rows than processes: all of them have to take part.
        """
        count = len(self.splits.validation)
        rows = range(min(self._rank(), count - 1), count, self.config.training.devices)
        size = self.config.evaluation.batch_size
        batches = [list(rows[start : start + size]) for start in range(0, len(rows), size)]
        return DataLoader(_Rows(batches), batch_size=None)

    def places(self, stage: int, segment: range, rank: int, processes: int) -> Iterator[Place]:
        """The micro-batches of process `rank` in some updates of a stage, in order.

        Longest rows come first within an update, to pad little.
        """
        size, micro = self.config.training.batch_size, micro_batch_size(self.config.training)
        lengths, seed = self.splits.train.question_lengths, (self.config.run.seed, stage)
        rows = self.splits.train.stream(segment.start * size, segment.stop * size, seed)
        for update in segment:
            own = rows[(update - segment.start) * size :][:size]
            own = own[np.argsort(-lengths[own], kind="stable")]
            for part in range(rank, size // micro, processes):
                yield Place(update, part, tuple(int(row) for row in own[part * micro : (part + 1) * micro]))

    def _rank(self) -> int:
        return self.trainer.global_rank if self.trainer is not None else 0


class _Rows(Dataset):
    """Lists of row numbers."""

    def __init__(self, batches: Sequence[list[int]]) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> list[int]:
        return self.batches[index]
