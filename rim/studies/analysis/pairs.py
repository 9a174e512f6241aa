"""Pairs of questions for interventions: a receiver, and a donor that differs in a known way.

Of a generated task a donor is the receiver with one step exchanged: with another answer, or, as a check, with the same
value after every step in other words. Of other tasks it is another row with as many steps. A donor's question always
has as many tokens, so that states stand at the same positions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np

from rim.data.answers import extract
from rim.data.counterfactual import Told
from rim.data.encode import EncodedExample
from rim.data.example import Example, Task
from rim.data.tokens import tokenise
from rim.settings import Data
from rim.studies.analysis.subject import AnalysisError

TRIES = 64
"""Variants of a question that are tried for one of its length."""


@dataclass(frozen=True)
class Pair:
    """Two questions of the same number of tokens and steps.

    Raises:
        AnalysisError: their lengths differ.
    """

    receiver: EncodedExample
    donor: EncodedExample

    def __post_init__(self) -> None:
        own, foreign = len(self.receiver.question), len(self.donor.question)
        if own != foreign:
            raise AnalysisError(
                f"donor '{self.donor.id}' has a question of {foreign} tokens, and '{self.receiver.id}' one of {own}: "
                "states are put at the same positions, so a donor's question has as many tokens"
            )

    @property
    def changed(self) -> np.ndarray:
        """Places of the question's tokens that differ."""
        return np.flatnonzero(self.receiver.question != self.donor.question)


def pairs_of(
    task: Task, examples: Sequence[EncodedExample], tokenizer: Any, config: Data, *, same: bool = False
) -> list[Pair]:
    """A pair for each example that has a donor.

    Args:
        same: with the same answer instead of another one.

    Raises:
        AnalysisError: the task has no counterfactuals: its questions are not generated and have no steps.
    """
    if task.solver is not None:
        found = (_varied(task, example, tokenizer, config, same) for example in examples)
        return [pair for pair in found if pair is not None]
    if not any(example.steps for example in examples):
        raise AnalysisError(
            f"task '{task.name}' has no counterfactuals: its questions are not generated, and its rows have no steps "
            "by which they could be paired. Use --test with tracking/test, arithmetic/test or gsm8k/test, or leave "
            "patch out, with --only"
        )
    return list(_matched(examples, same))


def values_of(task: Task, example: EncodedExample, tokenizer: Any) -> tuple[str, ...]:
    """The value after each step: exact of a generated task, else the last number that a step states."""
    if task.solver is not None:
        return task.solver.solve(example.text).values
    return tuple(extract("last_number", tokenizer.decode(step)) or "" for step in example.steps)


def _varied(task: Task, example: EncodedExample, tokenizer: Any, config: Data, same: bool) -> Pair | None:
    assert task.solver is not None
    own = task.solver.solve(example.text)
    for told in task.solver.vary(example.text, Random(example.id))[:TRIES]:
        if told.values == own.values if same else told.answer != own.answer:
            donor = _encoded(told, f"{example.id} varied", tokenizer, config)
            if len(donor.question) == len(example.question):
                return Pair(example, donor)
    return None


def _encoded(told: Told, id: str, tokenizer: Any, config: Data) -> EncodedExample:
    [segments] = tokenise([Example(id, told.question, told.values, told.answer)], tokenizer, config)
    question, answer, *steps = (np.array(segment, dtype=np.int32) for segment in segments)
    return EncodedExample(id, question, tuple(steps), answer, told.answer, told.question)


def _matched(examples: Sequence[EncodedExample], same: bool) -> Iterator[Pair]:
    for row, example in enumerate(examples):
        for other in (*examples[row + 1 :], *examples[:row]):
            alike = len(other.question) == len(example.question) and len(other.steps) == len(example.steps)
            if alike and other.text != example.text and (other.gold == example.gold) == same:
                yield Pair(example, other)
                break
