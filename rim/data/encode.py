"""Encoding: each source once per tokenizer and setting, cached under a key of everything that changes it."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Literal

from rim.data import store, tokens
from rim.data.answers import RULES, AnswerError, size
from rim.data.errors import DataError
from rim.data.example import Example
from rim.data.form import Form
from rim.data.report import Report
from rim.data.store import EncodedExample, EncodedSplit
from rim.data.survival import Pair, Survival
from rim.data.task_split import TaskSplit
from rim.data.unknown import Unknown
from rim.settings import Data

__all__ = ["EncodedExample", "EncodedSplit", "Request", "encode", "plain", "questions"]

VERSION = 5
"""Changes with every change of the readers, of this file and of the stored form."""
BATCH = 8192
"""Examples that the tokenizer gets together."""

FIELDS = {"train": "train_rows", "validation": "validation_rows", "test": "test_rows"}
LIMITS = ("max_steps", "over_steps", "max_question_tokens", "max_step_tokens", "max_answer_tokens")


@dataclass(frozen=True)
class Request:
    """A source and what it is for.

    Limits of steps and tokens hold for training and validation, and answers have to survive the tokenizer; test rows
    are all scored. At most `rows` rows are kept: the first ones, or with `seed` some drawn by it. Rows whose question
    is in one of the sources `without` are left out.
    """

    source: TaskSplit
    role: Literal["train", "validation", "test"]
    rows: int | None = None
    seed: int | None = None
    without: tuple[TaskSplit, ...] = ()


def encode(request: Request, config: Data, tokenizer: Any) -> EncodedSplit:
    """The encoded source, from the cache or made now.

    Raises:
        DataError: the source is missing, broken or being written, no row is left, or more than a few answers
            could never be given.
    """
    folder = Path(config.cache) / key(request, config, tokenizer)
    found = store.load(folder)
    if found is None:
        _make(request, config, tokenizer, folder)
        if key(request, config, tokenizer) != folder.name:  # or it would hold other rows than it says
            shutil.rmtree(folder)
            raise DataError(f"{request.source} changed while it was read: let who writes it finish, and repeat")
        found = store.load(folder)
    if found is None:
        raise DataError(f"encoded data in {folder} changed while it was read: try again, or set data.cache=FOLDER")
    where = request.source.origin(config)  # the same bytes may have been encoded from another place
    found.report = replace(found.report, origin=where or found.report.origin)
    return found


def key(request: Request, config: Data, tokenizer: Any) -> str:
    """sha256 of all that the encoded rows depend on."""
    limits = [getattr(config, name) for name in LIMITS] if request.role != "test" else []
    rule = request.source.task.answer_rule
    parts = {
        "version": VERSION,
        "request": [str(request.source), request.role, request.rows, request.seed],
        "answer_rule": [rule, RULES[rule].version],
        "content": [[str(source), source.fingerprint(config)] for source in (request.source, *request.without)],
        "form": [config.steps, config.question_end, *limits],
        "tokenizer": tokens.fingerprint(tokenizer),
        **Form.of(config, tokenizer).key,
    }
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def questions(sources: Iterable[TaskSplit], config: Data) -> set[str]:
    """The questions of all rows of the sources, spaces made plain."""
    return {plain(example) for source in sources for example in source.read(config).examples}


def _make(request: Request, config: Data, tokenizer: Any, folder: Path) -> None:
    """Read, filter, encode and write; every row that is left out is counted under its reason."""
    source, rule = request.source, request.source.task.answer_rule
    reading = source.read(config)
    dropped, noted = Counter(reading.dropped), Counter(reading.noted)
    chosen = _chosen(reading.examples, request, config, dropped)
    _require_readable(chosen, request, config)
    examples, capped = _within_steps(chosen, request, config, dropped)
    survival, unknown = Survival(tokenizer, rule, keep=request.role == "test"), Unknown(tokenizer)
    writer, different = store.Writer(), set[str]()
    for pairs in _encoded(examples, request, config, tokenizer, survival, dropped):
        writer.add(((example.id, example.question, example.answer), segments) for example, segments in pairs)
        different.update(example.question for example, _ in pairs)
        noted += unknown.count(pairs)
    survival.require_few(str(source))
    (noted if request.role == "test" else dropped).update(survival.counts)
    beyond = reading.read - writer.rows - dropped.total()
    dropped[f"beyond data.{FIELDS[request.role]}={request.rows}"] += beyond
    origin = reading.origin or f"sha256 {source.fingerprint(config)}"
    counts = (dict(+dropped), capped, len(different), origin, dict(+noted))
    report = Report(str(source), reading.read, writer.rows, *counts)
    _require_rows(report)
    writer.write(folder, report, rule)


def _chosen(examples: list[Example], request: Request, config: Data, dropped: Counter[str]) -> list[Example]:
    """Those that are in no other source, in the order in which they are kept."""
    excluded = questions(request.without, config)
    fresh = [example for example in examples if plain(example) not in excluded]
    dropped["question also in validation or test"] += len(examples) - len(fresh)
    if request.seed is not None:
        Random(request.seed).shuffle(fresh)
    return fresh


def _require_readable(examples: list[Example], request: Request, config: Data) -> None:
    """Right answers that will be scored are read now, and not first when training is over."""
    if request.role == "train":
        return
    rule = request.source.task.answer_rule
    for example in examples:
        try:
            size(rule, example.answer)
        except AnswerError as error:
            raise DataError(f"{example.id}: {error}") from error


def _within_steps(
    examples: list[Example], request: Request, config: Data, dropped: Counter[str]
) -> tuple[list[Example], int]:
    """Those of at most `max_steps` steps, longer chains dropped or capped, and the number of capped ones."""
    long = [example for example in examples if len(example.steps) > config.max_steps]
    if request.role == "test" or not long:
        return examples, 0
    if config.over_steps == "cap":
        return [replace(example, steps=example.steps[: config.max_steps]) for example in examples], len(long)
    dropped[f"more than data.max_steps={config.max_steps} steps"] += len(long)
    return [example for example in examples if len(example.steps) <= config.max_steps], 0


def _encoded(
    examples: list[Example], request: Request, config: Data, tokenizer: Any, survival: Survival, dropped: Counter[str]
) -> Iterator[list[Pair]]:
    """The examples that are kept, with their tokens, in batches; `request.rows` of them at most."""
    left = request.rows or len(examples)
    examples = examples[:left] if request.role == "test" else examples
    for start in range(0, len(examples), BATCH):
        batch = examples[start : start + BATCH]
        pairs = survival.sift(_within_tokens(batch, request, config, tokenizer, dropped))[:left]
        yield pairs
        left -= len(pairs)
        if left == 0:
            return


def _within_tokens(
    examples: list[Example], request: Request, config: Data, tokenizer: Any, dropped: Counter[str]
) -> list[Pair]:
    """Examples and their tokens, without those over a limit."""
    kept = []
    for example, segments in zip(examples, tokens.tokenise(examples, tokenizer, config), strict=True):
        over = None if request.role == "test" else _over(segments, config)
        if over is None:
            kept.append((example, segments))
        else:
            dropped[over] += 1
    return kept


def _over(segments: list[list[int]], config: Data) -> str | None:
    """The first limit that an example breaks."""
    question, answer, *steps = map(len, segments)
    for part, length in (("question", question), ("step", max(steps, default=0)), ("answer", answer)):
        limit = getattr(config, f"max_{part}_tokens")
        if length > limit:
            return f"{part} over data.max_{part}_tokens={limit}"
    return None


def _require_rows(report: Report) -> None:
    if report.kept == 0:
        counts = ", ".join(f"{count:,} {reason}" for reason, count in report.dropped.items())
        raise DataError(
            f"no row of {report.source} is left of {report.read:,} read: {counts}. A run needs at least one: raise the "
            f"limits in data, or choose another source"
        )


def plain(example: Example) -> str:
    """The question with plain spaces: what makes two rows the same question."""
    return " ".join(example.question.split())
