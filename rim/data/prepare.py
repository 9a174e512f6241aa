"""The three parts of a run's data, with the rules that keep them apart."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rim.config import Data
from rim.data.encode import EncodedSplit, Request, encode, plain, questions
from rim.data.example import MARK, DataError, parse_source, read


@dataclass(frozen=True)
class Splits:
    """Encoded training and held-out examples, and test sets by their source."""

    train: EncodedSplit
    validation: EncodedSplit
    tests: dict[str, EncodedSplit]

    def named(self) -> list[tuple[str, EncodedSplit]]:
        """Every split with its role."""
        return [("train", self.train), ("held-out", self.validation), *(("test", test) for test in self.tests.values())]


def check_sources(config: Data) -> None:
    """Refuse sources that are unknown, or that would train on or select by a test set. Reads no data.

    Raises:
        DataError: names the setting, the rule and the splits that can be used.
    """
    _require_open("data.train", config.train, "training on the test set", config)
    _require_open("data.validation", config.validation, "selecting on the test set", config)
    for source in config.test:
        parse_source(source, config)


def prepare(config: Data, tokenizer: Any, seed: int) -> Splits:
    """Encode (or find in the cache) all that a run uses.

    Training rows whose question occurs anywhere in the validation or test sources are left out and counted.
    `seed` draws the `validation_rows`.

    Raises:
        DataError: a source that may not be used so, or data that is missing, broken, or empty after the limits.
    """
    check_sources(config)
    return Splits(
        train=encode(Request(config.train, "train", config.train_rows, without=_held_out(config)), config, tokenizer),
        validation=encode(Request(config.validation, "validation", config.validation_rows, seed), config, tokenizer),
        tests=prepare_tests(config, tokenizer),
    )


def prepare_tests(config: Data, tokenizer: Any) -> dict[str, EncodedSplit]:
    """The test sets alone, by source; all their rows are kept, up to `test_rows`.

    Raises:
        DataError: data that is unknown, missing or broken.
    """
    return {source: encode(Request(source, "test", config.test_rows), config, tokenizer) for source in config.test}


def training_texts(config: Data, limit: int | None = None) -> Iterator[str]:
    """Questions (with their end), steps, and answers after their mark, of the first `limit` training rows: what a
    tokenizer is built from.

    Rows that are held out give no text.

    Raises:
        DataError: as `prepare`.
    """
    check_sources(config)
    held_out = questions(_held_out(config), config)
    fresh = [example for example in read(config.train, config).examples if plain(example) not in held_out]
    for example in fresh[:limit]:
        yield example.question + config.question_end
        yield from example.steps
        yield f"{MARK} {example.answer}"  # or the mark would be four tokens, and chains cost passes for nothing


def _held_out(config: Data) -> tuple[str, ...]:
    return tuple(sorted({config.validation, *config.test}))


def _require_open(field: str, source: str, sin: str, config: Data) -> None:
    task, split = parse_source(source, config)
    if split in task.test_splits:
        usable = " or ".join(f"{task.name}/{name}" for name in task.open_splits) or "a split of another task"
        raise DataError(
            f"{field}={source} is a test split, and that would be {sin}: test splits are scored once, at the end. "
            f"Set {field} to {usable}{_also(task.name)}, and list {source} in data.test"
        )


def _also(name: str) -> str:
    return " or gsm8k_aug/validation" if name in ("gsm8k", "gsm_hard") else ""
