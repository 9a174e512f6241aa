"""The generated task *tracking*: an object changes hands; who has it in the end?

    Tom has the cup. Tom and Bob swap. Eve and Ann swap. Bob and Eve swap. Who has the cup?
    steps: Bob, Bob, Eve (equations and results) or "Bob has the cup.", … (sentences); answer: Eve

Two people swap what they hold. A swap moves the object with probability `MOVES` = 2/3; else it is between two others
and the step repeats the holder. So no shortcut does well: neither the last person named, nor the last swap alone, nor
the first holder tells the answer of a longer story, which takes the swaps in order.
"""

import re
from collections.abc import Sequence
from itertools import permutations
from random import Random

from rim.data.counterfactual import Solver, Told
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
BEGINNING = re.compile(r"(\w+) has the (\w+)\.")
SWAP = re.compile(r"(\w+) and (\w+) swap\.")


def draw(random: Random, steps: int, options: Options) -> Story:
    """A story of `steps` swaps among the first `people` names."""
    assert isinstance(options, Tracking)
    people = NAMES[: options.people]
    holder, thing = random.choice(people), random.choice(THINGS)
    first_holder, swaps = holder, []
    for _ in range(steps):
        first, second, holder = _swap(random, people, holder)
        swaps.append((first, second))
    told = _told(first_holder, thing, swaps)
    sentences = tuple(f"{name} has the {thing}." for name in told.values)
    return Story(told.question, told.values, sentences, told.values, told.answer)


def _told(holder: str, thing: str, swaps: Sequence[tuple[str, str]]) -> Told:
    """The story of these swaps, and who has the object after each of them."""
    parts, holders = [f"{holder} has the {thing}."], []
    for first, second in swaps:
        parts.append(f"{first} and {second} swap.")
        holder = {first: second, second: first}.get(holder, holder)
        holders.append(holder)
    return Told(f"{' '.join(parts)} Who has the {thing}?", tuple(holders), holder)


def _read(question: str) -> tuple[str, str, list[tuple[str, str]]]:
    """First holder, object and swaps of a story."""
    beginning = BEGINNING.match(question)
    if beginning is None:
        raise ValueError(f"no story of swaps: {question!r:.80}")
    return beginning[1], beginning[2], [(swap[1], swap[2]) for swap in SWAP.finditer(question)]


def _vary(question: str, random: Random) -> list[Told]:
    """Stories in which one swap is another one, among the names up to the last one of the story, at least three."""
    holder, thing, swaps = _read(question)
    people = NAMES[: max(3, *(NAMES.index(name) + 1 for swap in ((holder,), *swaps) for name in swap))]
    places = [(place, pair) for place in range(len(swaps)) for pair in permutations(people, 2) if pair != swaps[place]]
    random.shuffle(places)
    return [_told(holder, thing, [*swaps[:place], pair, *swaps[place + 1 :]]) for place, pair in places]


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


SOLVER = Solver(lambda question: _told(*_read(question)), _vary)
TASK = Generator("tracking", 3, "text", draw, _check, SOLVER).task()
