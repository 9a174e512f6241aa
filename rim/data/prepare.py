"""The three parts of a run's data, with the rules that keep them apart."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from rim.config import Data
from rim.data.encode import EncodedSplit, Request, encode, plain, questions
from rim.data.errors import DataError
from rim.data.example import MARK, Example, form_in
from rim.data.joined import JoinedSplit, Split
from rim.data.mixture import Part, cycle, heldout_parts, training_parts
from rim.data.registry import parse_source, read

TOKENIZER_ROWS = 20_000
"""Training rows that a tokenizer from scratch is built from."""


@dataclass(frozen=True)
class Splits:
    """Encoded training and held-out examples, and test sets by their source."""

    train: Split
    validation: Split
    tests: dict[str, EncodedSplit]

    def named(self) -> list[tuple[str, Split]]:
        """Every split with its role."""
        return [("train", self.train), ("held-out", self.validation), *(("test", test) for test in self.tests.values())]


def check_sources(config: Data) -> None:
    """Refuse sources that are unknown, or that would train on or select by a test set. Reads no data.

    Raises:
        DataError: names the setting, the rule and the splits that can be used.
    """
    for part in training_parts(config.train):
        _require_open("data.train", part.source, "training on the test set", config)
    for source in heldout_parts(config.validation):
        _require_open("data.validation", source, "selecting on the test set", config)
    for source in config.test:
        parse_source(source, config)


def prepare(config: Data, tokenizer: Any, seed: int) -> Splits:
    """Encode (or find in the cache) all that a run uses.

    Training rows whose question occurs anywhere in the validation or test sources are left out and counted, of a
    mixture from every source. `seed` draws the `validation_rows` of every held-out source.

    Raises:
        DataError: a source that may not be used so, or data that is missing, broken, or empty after the limits.
    """
    check_sources(config)
    return Splits(
        train=_training(config, tokenizer),
        validation=prepare_validation(config, tokenizer, seed),
        tests=prepare_tests(config, tokenizer),
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


def _training(config: Data, tokenizer: Any) -> Split:
    parts, without = training_parts(config.train), _held_out(config)
    requests = [Request(part.source, "train", config.train_rows, without=without) for part in parts]
    splits = [encode(request, config, tokenizer) for request in requests]
    return _joined(config.train, splits, config, _cycle(parts, [len(split) for split in splits]))


def prepare_validation(config: Data, tokenizer: Any, seed: int) -> Split:
    """The held-out examples alone; `seed` draws the same ones as for the run, and fewer are the first of more.

    Raises:
        DataError: data that is unknown, missing or broken.
    """
    requests = [
        Request(source, "validation", config.validation_rows, seed) for source in heldout_parts(config.validation)
    ]
    return _joined(config.validation, [encode(request, config, tokenizer) for request in requests], config)


def _joined(text: str, splits: Sequence[EncodedSplit], config: Data, counts: Sequence[int] = ()) -> Split:
    if len(splits) == 1:
        return splits[0]
    tasks = [parse_source(split.report.source, config)[0] for split in splits]
    steps = [form_in(task.forms, config.steps) if task.forms else "" for task in tasks]
    return JoinedSplit(text, splits, steps, counts)


def _cycle(parts: Sequence[Part], rows: Sequence[int]) -> tuple[int, ...]:
    """Examples of each part in a cycle, by weights, or by rows where there are none."""
    weights = [part.weight for part in parts if part.weight is not None]
    return cycle(weights or [Fraction(count) for count in rows])


def prepare_tests(config: Data, tokenizer: Any) -> dict[str, EncodedSplit]:
    """The test sets alone, by source; all their rows are kept, up to `test_rows`.

    Raises:
        DataError: data that is unknown, missing or broken.
    """
    return {source: encode(Request(source, "test", config.test_rows), config, tokenizer) for source in config.test}


def training_texts(config: Data, limit: int = TOKENIZER_ROWS) -> Iterator[str]:
    """Questions (with their end), steps, and answers after their mark, of the first `limit` training rows: what a
    tokenizer is built from. Of a mixture every source gives its share of the rows.

    Rows that are held out give no text.

    Raises:
        DataError: as `prepare`.
    """
    check_sources(config)
    held_out, parts = questions(_held_out(config), config), training_parts(config.train)
    fresh = [[row for row in read(part.source, config).examples if plain(row) not in held_out] for part in parts]
    shares = _cycle(parts, [len(rows) or 1 for rows in fresh])
    for rows, share in zip(fresh, shares, strict=True):
        for example in rows[: -(-limit * share // sum(shares))]:
            yield from _texts(example, config)


def _texts(example: Example, config: Data) -> Iterator[str]:
    yield example.question + config.question_end
    yield from example.steps
    yield f"{MARK} {example.answer}"  # or the mark would be four tokens, and chains cost passes for nothing


def _held_out(config: Data) -> tuple[str, ...]:
    return tuple(sorted({*heldout_parts(config.validation), *config.test}))


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
