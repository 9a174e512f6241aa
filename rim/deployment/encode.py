"""A question without an answer, as the rest of the house carries questions."""

from collections.abc import Sequence

import numpy as np

from rim.data.store import EncodedExample

NAME = 40
"""Characters of a question in a message, at most."""


def encoded(question: str, ids: Sequence[int]) -> EncodedExample:
    """A question and its token ids; messages name it by its beginning, which need not have spaces between words."""
    line = " ".join(question.split())
    name = line if len(line) <= NAME else line[: NAME - 1] + "…"
    return EncodedExample(name, np.array(ids, dtype=np.int32), (), np.array([], dtype=np.int32), "", question)
