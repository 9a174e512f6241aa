"""Encodes the training set, the validation set and the test sets of a run."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

from rim.data.encode import EncodedSplit, Request, encode, plain, questions
from rim.data.errors import DataError
from rim.data.example import MARK, Example
from rim.data.joined import JoinedSplit, Split
from rim.data.mixture import cycle
from rim.data.sources import Sources, parse_sources, test_sources, validation_sources
from rim.data.task_split import TaskSplit
from rim.settings import Data

TOKENIZER_ROWS = 20_000
"""Training rows that a tokenizer from scratch is built from."""


@dataclass(frozen=True)
class Splits:
    """The encoded training set and validation set, and the test sets by their source."""

    train: Split
    validation: Split
    tests: dict[str, EncodedSplit]

    def named(self) -> list[tuple[str, Split]]:
        """Every split with its role."""
        return [
            ("train", self.train),
            ("validation", self.validation),
            *(("test", test) for test in self.tests.values()),
        ]

    def reports(self) -> list[dict[str, Any]]:
        """What is told of every split, in the order of `named`, as plain containers."""
        return [asdict(split.report) for _, split in self.named()]


def prepare(config: Data, tokenizer: Any, seed: int) -> Splits:
    """Encode (or find in the cache) all that a run uses.

    Training rows whose question occurs anywhere in the validation or test sources are left out and counted, of a
    mixture from every source. `seed` draws the `validation_rows` of every validation set.

    Raises:
        DataError: a source that may not be used so, or data that is missing, broken, or empty after the limits.
    """
    sources = parse_sources(config)
    return Splits(
        train=_training(sources, config, tokenizer),
        validation=_validation(sources.validation, config, tokenizer, seed),
        tests=_tests(sources.tests, config, tokenizer),
    )


def require_steps(train: Split, taught: str | None) -> None:
    """Refuse training rows without a single step where steps are taught; of a mixture one source has to have some.

    Args:
        taught: the setting by which steps are taught; None: they are not.

    Raises:
        DataError: names the source and the setting.
    """
    if taught is not None and not train.steps_counts.any():
        raise DataError(
            f"no row of {train.report.source} has a step ({len(train):,} rows), and {taught} teaches steps: with none, "
            f"it teaches an answer alone under another name. Train on rows with steps (those of data.own stand under "
            f"'steps', a list of texts), or set method.name=direct"
        )


def _training(sources: Sources, config: Data, tokenizer: Any) -> Split:
    requests = [Request(source, "train", config.train_rows, without=sources.excluded) for source in sources.train]
    splits = [encode(request, config, tokenizer) for request in requests]
    return _joined(config.train, sources.train, splits, _cycle(sources, [len(split) for split in splits]))


def prepare_validation(config: Data, tokenizer: Any, seed: int) -> Split:
    """The validation set alone; `seed` draws the same ones as for the run, and fewer are the first of more.

    Raises:
        DataError: data that is unknown, missing or broken.
    """
    return _validation(validation_sources(config), config, tokenizer, seed)


def _validation(sources: Sequence[TaskSplit], config: Data, tokenizer: Any, seed: int) -> Split:
    requests = [Request(source, "validation", config.validation_rows, seed) for source in sources]
    return _joined(config.validation, sources, [encode(request, config, tokenizer) for request in requests])


def _joined(
    text: str, sources: Sequence[TaskSplit], splits: Sequence[EncodedSplit], counts: Sequence[int] = ()
) -> Split:
    if len(splits) == 1:
        return splits[0]
    return JoinedSplit(text, splits, [source.form for source in sources], counts)


def _cycle(sources: Sources, rows: Sequence[int]) -> tuple[int, ...]:
    """Examples of each training source in a cycle, by weights, or by rows where there are none."""
    return cycle(sources.weights or [Fraction(count) for count in rows])


def prepare_tests(config: Data, tokenizer: Any) -> dict[str, EncodedSplit]:
    """The test sets alone, by source; all their rows are kept, up to `test_rows`.

    Raises:
        DataError: data that is unknown, missing or broken.
    """
    return _tests(test_sources(config), config, tokenizer)


def _tests(sources: Sequence[TaskSplit], config: Data, tokenizer: Any) -> dict[str, EncodedSplit]:
    requests = [Request(source, "test", config.test_rows) for source in sources]
    return {str(request.source): encode(request, config, tokenizer) for request in requests}


def training_texts(config: Data, limit: int = TOKENIZER_ROWS) -> Iterator[str]:
    """Questions (with their end), steps, and answers after their mark, of the first `limit` training rows: what a
    tokenizer is built from. Of a mixture every source gives its share of the rows.

    Rows that are held out give no text.

    Raises:
        DataError: as `prepare`.
    """
    sources = parse_sources(config)
    validation = questions(sources.excluded, config)
    fresh = [[row for row in source.read(config).examples if plain(row) not in validation] for source in sources.train]
    shares = _cycle(sources, [len(rows) or 1 for rows in fresh])
    for rows, share in zip(fresh, shares, strict=True):
        for example in rows[: -(-limit * share // sum(shares))]:
            yield from _texts(example, config)


def _texts(example: Example, config: Data) -> Iterator[str]:
    yield example.question + config.question_end
    yield from example.steps
    yield f"{MARK} {example.answer}"  # or the mark would be four tokens, and chains cost passes for nothing
