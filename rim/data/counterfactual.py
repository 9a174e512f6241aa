"""Counterfactuals of a question: one step differs, and every intermediate value is known exactly."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Told:
    """A question, the value after each of its steps, and its answer."""

    question: str
    values: tuple[str, ...]
    answer: str


@dataclass(frozen=True)
class Solver:
    """What a generated task knows of its own questions.

    `solve(question)` tells it with the value after each step. `vary(question, random)` gives questions in each of
    which one step is another, in random order, and every other sentence is the same.
    """

    solve: Callable[[str], Told]
    vary: Callable[[str, Random], list[Told]]
