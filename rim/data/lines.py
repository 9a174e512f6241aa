"""Several examples in one line of tokens: which of them stand side by side, and which lines are read in one pass.

What a line holds beyond its examples is padding, which costs as much as they do.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise

Line = list[int]
"""Numbers of the examples that stand in a line."""
STEP = 8
"""The length of a line is a multiple of it: tensor cores and memory-efficient attention want that."""


def pack(lengths: Sequence[int], tokens_per_line: int) -> list[Line]:
    """Lines for examples of these lengths: as few as first fit needs, then as short as that number of them allows.

    One that is longer than `tokens_per_line` makes all lines as long as it is, since they are padded to the longest.
    Where a few lines hold all, a line of the budget's length would be half empty: shorter ones share the tokens evenly.
    """
    room = max(tokens_per_line, *lengths)
    lines = _first_fit(lengths, room)
    rooms = range(max(-(-sum(lengths) // len(lines)), *lengths), room)
    enough = bisect_left(rooms, True, key=lambda shorter: len(_first_fit(lengths, shorter)) <= len(lines))
    return _first_fit(lengths, rooms[enough]) if enough < len(rooms) else lines


def _first_fit(lengths: Sequence[int], room: int) -> list[Line]:
    """The longest first, each into the first line that has room."""
    lines: list[Line] = []
    left: list[int] = []
    for number in sorted(range(len(lengths)), key=lambda number: -lengths[number]):
        place = next((place for place, free in enumerate(left) if free >= lengths[number]), len(lines))
        if place == len(lines):
            lines.append([])
            left.append(room)
        lines[place].append(number)
        left[place] -= lengths[number]
    return lines


def split(lines: Sequence[Line], lengths: Sequence[int], tokens_per_pass: int) -> list[list[Line]]:
    """The lines in as few passes as can be, none of more than `tokens_per_pass` tokens with its padding; a pass has a
    line at least, and all have about as many."""
    longest = max(sum(lengths[number] for number in line) for line in lines)
    most = max(1, tokens_per_pass // (-(-longest // STEP) * STEP))
    count = -(-len(lines) // most)
    ends = [len(lines) * part // count for part in range(count + 1)]
    return [list(lines[start:end]) for start, end in pairwise(ends)]
