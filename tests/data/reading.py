"""The examples of a source, by its name."""

from rim.config import Data
from rim.data.example import Reading
from rim.data.registry import parse_source


def read(source: str, config: Data) -> Reading:
    return parse_source(source, config).read(config)
