"""Several sources in one setting, as text: `gsm8k_aug/train:0.7 + prosqa/train:0.3`. Imports nothing heavy.

A weight says how many examples a source gives, relative to the other weights. Without weights every source gives all
of its rows. Weights are exact fractions, so that shares come out in whole numbers of examples.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm

from rim.data.errors import DataError

MOST = 1_000_000
"""Examples of the longest cycle that weights may ask for."""


@dataclass(frozen=True)
class Part:
    """A source of a mixture; without a weight its share is that of its rows."""

    source: str
    weight: Fraction | None = None


def training_parts(text: str) -> list[Part]:
    """The sources of `data.train` with their weights; a text without `+` is one source.

    Raises:
        DataError: an empty place, a weight that is none, a source that stands there twice, or weights for some alone.
    """
    parts = [_part(piece.strip(), text) for piece in text.split("+")]
    _require_different([part.source for part in parts])
    weights = [part.weight for part in parts if part.weight is not None]
    if weights and len(parts) == 1:
        source = parts[0].source
        raise DataError(f"a weight is a share of a mixture, and '{source}' stands alone: write {source}")
    if 0 < len(weights) < len(parts):
        bare = next(part.source for part in parts if part.weight is None)
        raise DataError(f"'{bare}' has no weight, and others have: give every source one, or none of them")
    if weights and sum(cycle(weights)) > MOST:
        raise DataError(
            f"these weights come out in whole numbers of examples only every {sum(cycle(weights)):,} of them, and "
            f"{MOST:,} are the most: round them"
        )
    return parts


def validation_parts(text: str) -> list[str]:
    """The sources of `data.validation`.

    Raises:
        DataError: an empty place, a source that stands there twice, or a weight.
    """
    sources = [piece.strip() for piece in text.split("+")]
    weighted = next((source for source in sources if ":" in source), None)
    if weighted is not None:
        source = weighted.partition(":")[0]
        raise DataError(
            f"'{weighted}' has a weight: validation sets have none, every row counts alike, and data.validation_rows "
            f"holds for each source; write {source}"
        )
    _require_different([_named(source, text) for source in sources])
    return sources


def sources_in(text: str) -> tuple[str, ...]:
    """Names of sources as they are written, whether or not they can be used."""
    return tuple(piece.partition(":")[0].strip() for piece in text.split("+"))


def cycle(weights: Sequence[Fraction]) -> tuple[int, ...]:
    """The fewest examples of each source that stand in these proportions exactly: 0.7 and 0.3 are 7 and 3."""
    counts = [int(weight * lcm(*(each.denominator for each in weights))) for weight in weights]
    return tuple(count // gcd(*counts) for count in counts)


def _part(piece: str, text: str) -> Part:
    source, colon, weight = (word.strip() for word in piece.partition(":"))
    _named(source, text)
    if not colon:
        return Part(source)
    if not re.fullmatch(r"\d+(\.\d+)?", weight) or not Fraction(weight):
        raise DataError(
            f"'{piece}': '{weight}' is no weight: it is a number above 0, such as {source}:0.5; a source that gives no "
            "examples is left out"
        )
    return Part(source, Fraction(weight))


def _named(source: str, text: str) -> str:
    if not source:
        raise DataError(f"'{text}' names no source beside a +: write task/split + task/split")
    return source


def _require_different(sources: Sequence[str]) -> None:
    for source, count in Counter(sources).items():
        if count > 1:
            raise DataError(f"'{source}' stands there {count} times; once will do")
