"""Which examples of a test set the foreign block states of a control come from.

The choice depends on the test set alone, and not on the batch in which an example is answered.
"""

from collections.abc import Sequence

import numpy as np

from rim.data.joined import Split

REFERENCES = 32
"""Most examples that the mean and spread of noise are taken over; the spread is then known to about an eighth."""


def by_length(split: Split) -> list[int]:
    """Rows by number of the question's tokens; of equals the earlier one first."""
    return [int(row) for row in split.question_lengths.argsort(kind="stable")]


def donors(split: Split, rows: Sequence[int]) -> list[int]:
    """For each of these rows another one: the next by length whose question differs, after the longest the shortest.

    Where all questions are the same it is the next one, and a swap changes nothing.
    """
    order = by_length(split)
    place = {row: number for number, row in enumerate(order)}
    return [_next(split, order, place[row]) for row in rows]


def references(split: Split) -> list[int]:
    """Up to `REFERENCES` rows, spread evenly over the lengths of questions."""
    order = by_length(split)
    places = np.linspace(0, len(order) - 1, min(REFERENCES, len(order)))
    return [order[int(place)] for place in places.round()]


def _next(split: Split, order: Sequence[int], place: int) -> int:
    question = split[order[place]].question
    others = (order[(place + step) % len(order)] for step in range(1, len(order)))
    different = (row for row in others if not np.array_equal(split[row].question, question))
    return next(different, order[(place + 1) % len(order)])
