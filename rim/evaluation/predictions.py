"""What a model answered: one record per example, as JSON lines, and merged from several processes."""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch.distributed as dist

from rim.base.errors import UserError
from rim.base.files import write_atomically
from rim.data import answers


class PredictionError(UserError):
    """Predictions that cannot be read, merged or scored."""


@dataclass(frozen=True)
class Prediction:
    """One example's answers.

    `answers[k - 1]` is the text read after block k, `correct[k - 1]` whether it is right; a method without
    blocks has one entry. `steps` is the number of reasoning steps of the example, `size` the class of its answer.
    `texts` is all that was generated, one text per answer, where a chain of thought came before it; else empty.
    """

    id: str
    question: str
    gold: str
    steps: int
    answers: tuple[str, ...]
    correct: tuple[bool, ...]
    size: str
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.answers or len(self.answers) != len(self.correct):
            raise PredictionError(
                f"example {self.id!r} has {len(self.answers)} answers and {len(self.correct)} marks in `correct`: "
                "there must be one mark per answer, and at least one answer"
            )
        if self.texts and len(self.texts) != len(self.answers):
            raise PredictionError(
                f"example {self.id!r} has {len(self.answers)} answers and {len(self.texts)} `texts`: there must be one "
                "text per answer, or none"
            )

    @property
    def final(self) -> bool:
        """Whether the answer after the last block is right: the score."""
        return self.correct[-1]

    @property
    def any(self) -> bool:
        """Whether some block's answer is right: an oracle, never the score."""
        return any(self.correct)


def marked(row: Prediction, rule: str) -> Prediction:
    """The same answers, marked by a rule of `rim.data.answers`: in all that was generated, where the rule looks there.

    Raises:
        AnswerError: the rule is unknown, or cannot read a right answer.
    """
    texts = row.texts if row.texts and answers.RULES[rule].whole else row.answers
    correct = tuple(answers.grade(rule, text, row.gold) for text in texts)
    return replace(row, correct=correct, size=answers.size(rule, row.gold))


def write_jsonl(predictions: Iterable[Prediction], path: str | os.PathLike[str]) -> None:
    """Write one JSON object a line; the file appears whole or not at all.

    Everything outside ASCII is escaped, so every reader splits the file into the same lines.

    Raises:
        SaveError: the system refused; an older file survives.
    """
    lines = (json.dumps(_row(prediction)) + "\n" for prediction in predictions)
    write_atomically(Path(path), lambda file: file.writelines(line.encode("ascii") for line in lines))


def read_jsonl(path: str | os.PathLike[str]) -> list[Prediction]:
    """Read what `write_jsonl` wrote; lines end at "\\n" alone, blank ones are passed over.

    Raises:
        PredictionError: a line is not a prediction; the text names file, line and reason.
    """
    with open(path, "rb") as file:
        return [_parse(line, f"{path}, line {number}") for number, line in enumerate(file, 1) if line.strip()]


def merge(parts: Iterable[Iterable[Prediction]]) -> list[Prediction]:
    """Join the predictions of several processes, one per example id, sorted by id (numbers in ids as numbers).

    Samplers pad so that every process has equally many examples: the same prediction twice counts once.

    Raises:
        PredictionError: two different predictions for one id.
    """
    merged: dict[str, Prediction] = {}
    for part in parts:
        for new in part:
            old = merged.setdefault(new.id, new)
            if old != new:
                raise PredictionError(_conflict(old, new))
    return sorted(merged.values(), key=lambda prediction: natural_key(prediction.id))


def from_all_processes(predictions: list[Prediction]) -> list[Prediction]:
    """What all processes predicted, merged; the same on each. Of one process: its own, merged."""
    if not dist.is_initialized():
        return merge([predictions])
    gathered: list[list[Prediction]] = [[] for _ in range(dist.get_world_size())]
    dist.all_gather_object(gathered, predictions)
    return merge(gathered)


def natural_key(text: str) -> tuple[list[str | int], str]:
    """Sort key that counts the digits in a text as numbers: `test/9` before `test/10`."""
    parts = re.split(r"([0-9]+)", text)
    return [int(part) if index % 2 else part for index, part in enumerate(parts)], text


def _conflict(old: Prediction, new: Prediction) -> str:
    differing = [field.name for field in fields(old) if getattr(old, field.name) != getattr(new, field.name)]
    name = differing[0]
    return (
        f"two different predictions for example {new.id!r}: `{name}` is {getattr(old, name)!r} and "
        f"{getattr(new, name)!r}. Merge the predictions of one evaluation only; ids must be unique in a test set"
    )


def _row(prediction: Prediction) -> dict[str, Any]:
    row = asdict(prediction)
    return row if prediction.texts else {name: value for name, value in row.items() if name != "texts"}


def _parse(line: bytes, place: str) -> Prediction:
    try:
        row: dict[str, Any] = json.loads(line.decode("utf-8").rstrip())
        return Prediction(**row | {name: tuple(value) for name, value in row.items() if isinstance(value, list)})
    except (ValueError, TypeError, AttributeError) as error:
        raise PredictionError(f"{place}: not a prediction as it is written here: {error}") from error
