"""The generated task *arithmetic*: a chain of operations on whole numbers, told as a story.

    Ann has 5 coins. Ann finds 3 more. Ann then has 2 times as many. How many coins does Ann have now?
    steps: <<5+3=8>>, <<8*2=16>> (equations), "5 + 3 = 8.", "8 * 2 = 16." (sentences) or 8, 16 (results); answer: 16

Each operation is drawn evenly from those that keep the value between 0 and `max_value`.
"""

from random import Random

from rim.data.stories import Generator, Options, Story, require
from rim.settings import Arithmetic

NAMES = ("Ann", "Bob", "Tom", "Eve", "Sam", "Kim", "Max", "Joe")
THINGS = ("coins", "cards", "books", "shells", "stamps", "beads", "apples", "pens")
LARGEST_FACTOR = 3
WORDS = {
    "+": ("{name} finds {number} more.", "{name} buys {number} more.", "A friend gives {name} {number} more."),
    "-": ("{name} loses {number}.", "{name} gives {number} away.", "{name} sells {number}."),
    "*": ("{name} then has {number} times as many.", "That becomes {number} times as many."),
}
QUESTIONS = ("How many {things} does {name} have now?", "How many {things} has {name} in the end?")


def draw(random: Random, steps: int, options: Options) -> Story:
    """A story of `steps` operations."""
    assert isinstance(options, Arithmetic)
    name, things = random.choice(NAMES), random.choice(THINGS)
    most = min(options.max_number, options.max_value)
    value = random.randint(min(2, most), most)
    told, equations = [f"{name} has {value} {things}."], []
    for _ in range(steps):
        sign, number = _operation(random, value, options)
        told.append(random.choice(WORDS[sign]).format(name=name, number=number))
        result = {"+": value + number, "-": value - number, "*": value * number}[sign]
        equations.append((value, sign, number, result))
        value = result
    told.append(random.choice(QUESTIONS).format(name=name, things=things))
    return Story(
        " ".join(told),
        tuple(f"<<{a}{sign}{b}={c}>>" for a, sign, b, c in equations),
        tuple(f"{a} {sign} {b} = {c}." for a, sign, b, c in equations),
        tuple(str(c) for *_, c in equations),
        str(value),
    )


def _operation(random: Random, value: int, options: Arithmetic) -> tuple[str, int]:
    """A sign and its number; the result stays between 0 and `max_value`."""
    largest = {
        "+": min(options.max_number, options.max_value - value),
        "-": min(options.max_number, value),
        "*": min(LARGEST_FACTOR, options.max_value // value) if value else 0,
    }
    smallest = {"+": 1, "-": 1, "*": 2}
    sign = random.choice([sign for sign in largest if largest[sign] >= smallest[sign]])
    return sign, random.randint(smallest[sign], largest[sign])


def _check(options: Options) -> None:
    assert isinstance(options, Arithmetic)
    for field in ("max_number", "max_value"):
        value = getattr(options, field)
        require(value >= 1, f"data.arithmetic.{field}={value}", "at least 1")


TASK = Generator("arithmetic", 1, "integer", draw, _check).task()
