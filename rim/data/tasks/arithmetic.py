"""The generated task *arithmetic*: a chain of operations on whole numbers, told as a story.

    Ann has 5 coins. Ann finds 3 more. Ann then has 2 times as many. How many coins does Ann have now?
    steps: <<5+3=8>>, <<8*2=16>> (equations), "5 + 3 = 8.", "8 * 2 = 16." (sentences) or 8, 16 (results); answer: 16

Each operation is drawn evenly from those that keep the value between 0 and `max_value`.
"""

import re
from operator import add, mul, sub
from random import Random

from rim.data.counterfactual import Solver, Told
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
GIVES = {"+": add, "-": sub, "*": mul}
READ = [
    (sign, re.compile(re.escape(words).replace(r"\{name\}", r"\w+").replace(r"\{number\}", r"(\d+)")))
    for sign, forms in WORDS.items()
    for words in forms
]
"""Every sign with the form of a sentence that tells it; the group is its number."""
SENTENCES = re.compile(r"(?<=\.) ")
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
        result = GIVES[sign](value, number)
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


def _solve(question: str) -> Told:
    """The story with the value after each of its sentences but the first and the last."""
    first, *steps, _ = SENTENCES.split(question)
    value, values = int(re.findall(r"\d+", first)[0]), []
    for sentence in steps:
        sign, number = next((sign, int(found[1])) for sign, form in READ if (found := form.fullmatch(sentence)))
        value = GIVES[sign](value, number)
        values.append(value)
    return Told(question, tuple(map(str, values)), str(value))


def _vary(question: str, random: Random) -> list[Told]:
    """Stories in which one sentence has another number or sign, or other words; values stay in the story's range."""
    first, *steps, last = SENTENCES.split(question)
    name, start = first.split()[0], int(re.findall(r"\d+", first)[0])
    most = max(start, *map(int, _solve(question).values))
    largest = max(int(number) for sentence in (first, *steps) for number in re.findall(r"\d+", sentence))
    words = [each for forms in WORDS.values() for each in forms]
    sentences = [each.format(name=name, number=number) for each in words for number in range(2, largest + 1)]
    told = [
        _solve(" ".join([first, *steps[:place], sentence, *steps[place + 1 :], last]))
        for place, step in enumerate(steps)
        for sentence in sentences
        if sentence != step
    ]
    random.shuffle(told)
    return [each for each in told if all(0 <= int(value) <= most for value in each.values)]


def _check(options: Options) -> None:
    assert isinstance(options, Arithmetic)
    for field in ("max_number", "max_value"):
        value = getattr(options, field)
        require(value >= 1, f"data.arithmetic.{field}={value}", "at least 1")


SOLVER = Solver(_solve, _vary)
TASK = Generator("arithmetic", 1, "integer", draw, _check, SOLVER).task()
