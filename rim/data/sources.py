"""Parses the sources that settings name, once, and refuses test splits for training and for choosing checkpoints."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from rim.data.errors import DataError
from rim.data.mixture import training_parts, validation_parts
from rim.data.registry import parse_source
from rim.data.task_split import TaskSplit
from rim.settings import Data


@dataclass(frozen=True)
class Sources:
    """The sources of the training set, of the validation set, and of the test sets.

    `weights` are those of `train`, relative to each other; none: every source gives all of its rows.
    """

    train: Sequence[TaskSplit]
    weights: Sequence[Fraction]
    validation: Sequence[TaskSplit]
    tests: Sequence[TaskSplit]

    @property
    def excluded(self) -> tuple[TaskSplit, ...]:
        """The sources whose questions are left out of training, each once, sorted by name."""
        named = {str(source): source for source in (*self.validation, *self.tests)}
        return tuple(named[name] for name in sorted(named))


def parse_sources(config: Data) -> Sources:
    """The sources of a run. Reads no data.

    Raises:
        DataError: a source that is unknown, or would train on or select by a test set; names the setting, the rule and
            the splits that can be used.
    """
    parts = training_parts(config.train)
    train = [parse_source(part.source, config) for part in parts]
    _require_open("data.train", train)
    validation = validation_sources(config)
    _require_open("data.validation", validation)
    weights = [part.weight for part in parts if part.weight is not None]
    return Sources(train, weights, validation, test_sources(config))


def validation_sources(config: Data) -> list[TaskSplit]:
    """The sources of the validation set alone.

    Raises:
        DataError: a source that is unknown.
    """
    return [parse_source(source, config) for source in validation_parts(config.validation)]


def test_sources(config: Data) -> list[TaskSplit]:
    """The test sources alone.

    Raises:
        DataError: a source that is unknown.
    """
    return [parse_source(source, config) for source in config.test]


def _require_open(field: str, sources: Sequence[TaskSplit]) -> None:
    for source in sources:
        if source.closed:
            raise DataError(f"{field}: {source.closed}")
