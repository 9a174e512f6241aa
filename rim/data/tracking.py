"""The generated task *tracking*: people swap what they hold; who holds one thing in the end?

    Ann has the key, Bob the cup, Tom the hat and Eve the pen. Tom and Bob swap. Eve and Tom swap. Who has the cup?
    steps: Tom, Eve (equations) or "Tom has the cup.", "Eve has the cup." (sentences); answer: Eve

A swap moves the asked thing with probability `MOVES` = 2/3; else it is between two others (with two people every swap
moves it, and the parity of the swaps is the answer). So no shortcut does well: with four people the last person named,
who moved the thing last with its partner, is right in a third of the stories, as is either person of the last swap,
and the first holder is right in about a third after one or two swaps and a quarter after more.
"""

from random import Random

from rim.config import Tracking
from rim.data.stories import Generator, Options, Story, require

NAMES = ("Ann", "Bob", "Tom", "Eve", "Sam", "Kim", "Max", "Joe")
THINGS = ("key", "cup", "hat", "pen", "map", "box", "ball", "book")
MOVES = 2 / 3


def draw(random: Random, steps: int, options: Options) -> Story:
    """A story of `steps` swaps."""
    assert isinstance(options, Tracking)
    people = random.sample(NAMES, options.people)
    things = random.sample(THINGS, options.people)
    asked = int(random.random() * options.people)
    holder, thing = people[asked], things[asked]
    swaps, holders = [], []
    for _ in range(steps):
        first, second, holder = _swap(random, people, holder)
        swaps.append(f"{first} and {second} swap.")
        holders.append(holder)
    question = f"{_scene(people, things)} {' '.join(swaps)} Who has the {thing}?"
    return Story(question, tuple(holders), tuple(f"{name} has the {thing}." for name in holders), holder)


def _swap(random: Random, people: list[str], holder: str) -> tuple[str, str, str]:
    """Two people in random order, and who holds the asked thing after they swapped."""
    others = [name for name in people if name != holder]
    if len(others) == 1 or random.random() < MOVES:
        partner = others[int(random.random() * len(others))]
        return (holder, partner, partner) if random.random() < 0.5 else (partner, holder, partner)
    first, second = random.sample(others, 2)
    return first, second, holder


def _scene(people: list[str], things: list[str]) -> str:
    first, *middle, last = [f"{name} the {thing}" for name, thing in zip(people, things, strict=True)]
    return ", ".join([first.replace(" the", " has the"), *middle]) + f" and {last}."


def _check(options: Options) -> None:
    assert isinstance(options, Tracking)
    require(2 <= options.people <= len(NAMES), f"data.tracking.people={options.people}", f"2 to {len(NAMES)}")


TASK = Generator("tracking", 1, "text", draw, _check).task()
