"""The order of training examples: endless streams of rows, every stretch of which follows from a seed alone.

A place in a stream is a number of examples, so nothing depends on processes, workers or interruptions.
"""

from collections.abc import Sequence

import numpy as np

TOGETHER = 4096
"""Examples, about, whose sources are shuffled with one generator: short cycles are many."""


def stream_rows(rows: int, start: int, stop: int, seed: tuple[int, ...]) -> np.ndarray:
    """Rows number `start` to `stop` of an endless stream of epochs, each a permutation of its own."""
    epochs = range(start // rows, (max(start, stop - 1)) // rows + 1)
    parts = [np.random.default_rng((*seed, epoch)).permutation(rows) for epoch in epochs]
    offset = epochs.start * rows
    return np.concatenate(parts)[start - offset : stop - offset]


def stream_mixture(
    rows: Sequence[int], cycle: Sequence[int], start: int, stop: int, seed: tuple[int, ...]
) -> np.ndarray:
    """Rows number `start` to `stop` of an endless stream that takes its examples from several sources in turn.

    The stream is made of cycles, each a shuffled row of exactly `cycle[p]` examples of source p. What a source gives
    is its own stream of epochs, from which every example takes the next row.

    Args:
        rows: of each source; row 0 of a source has the number of all rows of the sources before it.
        cycle: examples of each source in a cycle.
    """
    sources, before = _stream_sources(cycle, start, stop, seed)
    found = np.zeros(len(sources), dtype=np.int64)
    first = 0
    for part, count in enumerate(rows):
        own = sources == part
        begin = before[part]
        found[own] = first + stream_rows(count, begin, begin + int(own.sum()), (*seed, part + 1))
        first += count
    return found


def _stream_sources(cycle: Sequence[int], start: int, stop: int, seed: tuple[int, ...]) -> tuple[np.ndarray, list[int]]:
    """Number of the source of each example from `start` to `stop`, and how many each source gave before."""
    together = max(1, TOGETHER // sum(cycle))
    stretch = together * sum(cycle)
    sheets = range(start // stretch, max(start, stop - 1) // stretch + 1)
    sorted_ones = np.tile(np.repeat(np.arange(len(cycle)), cycle), (together, 1))
    drawn = [np.random.default_rng((*seed, 0, sheet)).permuted(sorted_ones, axis=1).ravel() for sheet in sheets]
    sources, offset = np.concatenate(drawn), sheets.start * stretch
    earlier = np.bincount(sources[: start - offset], minlength=len(cycle))
    before = [sheets.start * together * own + int(more) for own, more in zip(cycle, earlier, strict=True)]
    return sources[start - offset : stop - offset], before
