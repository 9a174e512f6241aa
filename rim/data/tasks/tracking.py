"""The generated task *tracking*: an object changes hands; who has it in the end?

    Tom has the cup. Tom and Bob swap. Eve and Ann swap. Bob and Eve swap. Who has the cup?
    steps: Bob, Bob, Eve (equations and results) or "Bob has the cup.", … (sentences); answer: Eve

Two people swap what they hold. A swap moves the object with probability `MOVES` = 2/3; else it is between two others
and the step repeats the holder. So no shortcut does well: neither the last person named, nor the last swap alone, nor
the first holder tells the answer of a longer story, which takes the swaps in order.
"""

from random import Random

from rim.data.stories import Generator, Options, Story, require
from rim.settings import Tracking

NAMES = ("Ann", "Bob", "Tom", "Eve", "Sam", "Kim", "Max", "Joe")
THINGS = (
    *("key", "cup", "hat", "pen", "map", "box", "ball", "book", "coin", "lamp", "ring", "drum"),
    *("fork", "rope", "bell", "doll", "kite", "tent", "shoe", "vase", "card", "flag", "comb", "soap"),
    *("bag", "jar", "pan", "mug", "net", "nut", "fan", "toy", "pin", "saw", "tie", "bow"),
    *("disk", "horn", "lock", "mask", "pipe", "plum", "pear", "salt", "seed", "sock", "tray", "wand"),
)
MOVES = 2 / 3


def draw(random: Random, steps: int, options: Options) -> Story:
    """A story of `steps` swaps among the first `people` names."""
    assert isinstance(options, Tracking)
    people = NAMES[: options.people]
    holder, thing = random.choice(people), random.choice(THINGS)
    parts, holders = [f"{holder} has the {thing}."], []
    for _ in range(steps):
        first, second, holder = _swap(random, people, holder)
        parts.append(f"{first} and {second} swap.")
        holders.append(holder)
    question = f"{' '.join(parts)} Who has the {thing}?"
    sentences = tuple(f"{name} has the {thing}." for name in holders)
    return Story(question, tuple(holders), sentences, tuple(holders), holder)


def _swap(random: Random, people: tuple[str, ...], holder: str) -> tuple[str, str, str]:
    """Two people in random order, and who has the object after they swapped."""
    others = [name for name in people if name != holder]
    if random.random() < MOVES:
        partner = random.choice(others)
        return (holder, partner, partner) if random.random() < 0.5 else (partner, holder, partner)
    first, second = random.sample(others, 2)
    return first, second, holder


def _check(options: Options) -> None:
    assert isinstance(options, Tracking)
    require(3 <= options.people <= len(NAMES), f"data.tracking.people={options.people}", f"3 to {len(NAMES)}")


TASK = Generator("tracking", 3, "text", draw, _check).task()
