"""Versions of a row: its question with other numbers, drawn by a seed until the equations allow them."""

from collections.abc import Iterator
from fractions import Fraction
from random import Random

from rim.data.example import Example
from rim.data.renumbering.template import Template

TRIES = 400
"""Draws for one version before a row is said to have no further one."""


def versions(template: Template, count: int, factor: float, seed: str) -> Iterator[Example]:
    """At most `count` different versions; version k is the same whatever `count` is, and none is the row itself.

    Args:
        factor: a number is at most this many times as large or as small as it was.
        seed: text that the draws depend on, besides the row's own name.
    """
    choices = [number.others(factor) for number in template.numbers]
    seen = {tuple(number.value for number in template.numbers)}
    for version in range(count):
        random = Random(f"{seed} {template.example.id} {version}")
        found = _drawn(template, choices, f"{template.example.id}.{version}", random, seen)
        if found is None:
            return
        yield found


def _drawn(
    template: Template, choices: list[list[Fraction]], name: str, random: Random, seen: set[tuple[Fraction, ...]]
) -> Example | None:
    """A version that has not been seen, or None where none is found."""
    for _ in range(TRIES):
        values = tuple(random.choice(each) for each in choices)
        if values in seen or len({*values}) < len(values):  # numbers that differed still do
            continue
        seen.add(values)  # whether or not it is one: it need not be computed again
        if (found := template.version(values, name)) is not None:
            return found
    return None
