"""A question without an answer, as the rest of the house carries questions."""

from collections.abc import Sequence

import numpy as np

from rim.data.store import EncodedExample


def encoded(question: str, ids: Sequence[int]) -> EncodedExample:
    """A question and its token ids."""
    return EncodedExample("question", np.array(ids, dtype=np.int32), (), np.array([], dtype=np.int32), "", question)
