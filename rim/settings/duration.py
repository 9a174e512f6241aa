"""A length of training, written in steps, examples, epochs or per cent, and the one function that converts it."""

import math
import re

_FORM = re.compile(r"\s*(\d+(?:\.\d+)?(?:e\d+)?)\s*(steps?|updates?|examples?|epochs?|%)\s*")


class DurationError(ValueError):
    """A duration that cannot be read or converted."""


def updates(duration: str, *, batch_size: int, rows: int, whole: int | None = None) -> int:
    """Number of optimiser updates in `duration`, rounded up and at least 1 (0 where the number is 0).

    Args:
        duration: `3200 steps`, `4e5 examples`, `6 epochs` or `25%`.
        batch_size: examples per update.
        rows: examples per epoch.
        whole: updates that per cent refer to.

    Raises:
        DurationError: the text is none of the four forms, too large a number, or per cent of nothing.
    """
    match = _FORM.fullmatch(str(duration))
    if match is None:
        raise DurationError(
            f"'{duration}' is not a duration: write '3200 steps', '400000 examples', '6 epochs' or '25%'"
        )
    amount, unit = float(match[1]), match[2].rstrip("s")
    if unit == "%" and whole is None:
        raise DurationError(f"'{duration}' is per cent of nothing: set training.duration, or write steps or epochs")
    whole_of = {"step": 1.0, "update": 1.0, "example": 1 / batch_size, "epoch": rows / batch_size}
    scale = (whole or 0) / 100 if unit == "%" else whole_of[unit]
    if math.isinf(amount * scale):
        raise DurationError(f"'{duration}' is more than can be counted: write a smaller number")
    return math.ceil(round(amount * scale, 6))
