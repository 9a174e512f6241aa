"""Numbers that a question need not write in digits, because its words say them: `twice`, `a dozen`, hours of a day."""

import re
from fractions import Fraction

UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
TEENS = ("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
SAID = {
    **{word: (str(value),) for value, word in enumerate((*UNITS, *TEENS), 1)},
    **{word: (str(10 * value),) for value, word in enumerate(TENS, 2)},
    "hundreds?": ("100",),
    "thousands?": ("1000",),
    "millions?": ("1000000",),
    "dozens?": ("12",),
    "half|halves|halved": ("2", "0.5", "1.5"),
    "twice|double[sd]?|couple|pairs?|both|twins?|each other|another": ("2",),
    "thrice|triple[sd]?|triplets?": ("3",),
    "third|thirds": ("3",),
    "quarters?": ("4", "0.25", "25", "0.75"),
    "fourths?|quadruple[sd]?": ("4",),
    "fifths?": ("5", "0.2"),
    "sixths?": ("6",),
    "sevenths?": ("7",),
    "eighths?": ("8",),
    "ninths?": ("9",),
    "tenths?": ("10", "0.1"),
    "weeks?|weekly|daily|everyday": ("7", "52", "4", "5", "2"),
    "weekends?|weekdays?": ("2", "5"),
    "days?": ("7", "24", "30", "365"),
    "months?|monthly": ("12", "30", "4"),
    "years?|yearly|annual|annually": ("12", "52", "365"),
    "decades?": ("10",),
    "centur(?:y|ies)": ("100",),
    "hours?|hourly": ("60", "24"),
    "minutes?": ("60",),
    "seconds?": ("60",),
    "feet|foot|inch|inches": ("12",),
    "yards?": ("3",),
    "pounds?|ounces?": ("16",),
    "cups?|pints?|quarts?|gallons?": ("2", "4", "8", "16"),
    "tons?": ("2000",),
    "cents?|penn(?:y|ies)|dollars?": ("100", "0.01"),
    "nickels?": ("5", "0.05"),
    "dimes?": ("10", "0.1"),
    "kilometers?|km|kilograms?|kg|liters?|meters?": ("1000", "100"),
    "square": ("4",),
    "percent|percentage": ("100", "1"),
    "legs?": ("2", "4"),
    "wheels?": ("2", "3", "4"),
}
"""Words, as a pattern, and the numbers that they may stand for in an equation."""
WORDS = [(re.compile(rf"\b(?:{words})\b", re.IGNORECASE), values) for words, values in SAID.items()]
ALWAYS = frozenset({Fraction(1)})


def said_in(text: str) -> frozenset[Fraction]:
    """The numbers that the words of a text may stand for."""
    found = {Fraction(value) for pattern, values in WORDS if pattern.search(text) for value in values}
    return ALWAYS | found | ({Fraction(100)} if "%" in text else set())
