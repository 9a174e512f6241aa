"""python -m rim.data.answers.equivalence SECONDS: the process in which mathematics is compared (see `judge.py`).

A line `[prediction, gold]` in, a line `right`, `wrong` or `undecided` out. A comparison that takes more processor time
than SECONDS ends the process: the system's own signal does it, which also ends what Python cannot interrupt, such as a
power of huge numbers or a regular expression. Processor time, so that a busy machine changes no mark.
"""

import json
import logging
import os
import resource
import signal
import sys
from functools import lru_cache
from typing import Any

from math_verify import LatexExtractionConfig, parse, verify
from math_verify.parser import NormalizationConfig

MEMORY = 4 * 2**30
"""Bytes of address space; more is a MemoryError."""

_READING = LatexExtractionConfig(
    # Its list of units holds t, h, s, m, d, c and o: 5t would be 5. Units are taken off by `latex.py`.
    normalization_config=NormalizationConfig(
        basic_latex=True, units=False, malformed_operators=True, nits=True, boxed="all", equations=False
    )
)


def equal(prediction: str, gold: str) -> bool:
    """Whether math-verify, with its own tolerances, takes two answers for the same.

    Source: github.com/huggingface/Math-Verify. Its own time limits are signals of the main thread; here they are off.
    """
    return bool(verify(_gold(gold), _parsed(prediction), timeout_seconds=None))


def _parsed(latex: str) -> list[Any]:
    found: list[Any] = parse(f"\\boxed{{{latex}}}", [_READING], parsing_timeout=None)
    return found


_gold = lru_cache(maxsize=4096)(_parsed)


def _verdict(line: str) -> str:
    try:
        return "right" if equal(*json.loads(line)) else "wrong"
    except (Exception, RecursionError):
        return "undecided"


def main() -> None:
    """Answer until the other side closes."""
    seconds = float(sys.argv[1])
    logging.disable(logging.CRITICAL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    replies = os.fdopen(os.dup(1), "w")
    print("ready", file=replies, flush=True)
    for stream in (1, 2):  # what libraries print is no verdict
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream)
    for line in sys.stdin:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        verdict = _verdict(line)
        signal.setitimer(signal.ITIMER_PROF, 0)
        print(verdict, file=replies, flush=True)


if __name__ == "__main__":
    main()
