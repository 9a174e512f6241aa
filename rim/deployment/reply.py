"""The answer to a question, and what is read after each block on the way to it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Readout:
    """What is answered after a block.

    `probability` is that of the answer's first token among all tokens that may be generated.
    """

    block: int
    answer: str
    probability: float


@dataclass(frozen=True)
class Reply:
    """The answer to a question.

    `chain` is the chain of thought that was generated before the answer; empty for methods that write none.
    `milliseconds` is the latency of the answer; of several questions answered together, their share of it.
    """

    question: str
    answer: str
    chain: str
    milliseconds: float
