"""A question without an answer, as the rest of the house carries questions."""

from collections.abc import Sequence
from textwrap import shorten

import numpy as np

from rim.data.store import EncodedExample


def encoded(question: str, ids: Sequence[int]) -> EncodedExample:
    """A question and its token ids; messages name it by its first words."""
    name = shorten(question, 40, placeholder="…")
    return EncodedExample(name, np.array(ids, dtype=np.int32), (), np.array([], dtype=np.int32), "", question)
