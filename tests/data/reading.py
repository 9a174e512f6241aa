"""The examples of a source, by its name."""

from rim.data.example import Reading
from rim.data.registry import parse_source
from rim.settings import Data


def read(source: str, config: Data) -> Reading:
    return parse_source(source, config).read(config)


def distinct(reading: Reading) -> int:
    """Number of different questions."""
    return len({example.question for example in reading.examples})
