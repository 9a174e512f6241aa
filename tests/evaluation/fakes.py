"""Readouts that nobody has read."""

import numpy as np

from rim.evaluation.early.readouts import Readouts
from rim.evaluation.predictions import Prediction

BLOCKS, WIDTH = 3, 6


def readouts(first: int, examples: int, seed: int, right: float = 0.5) -> Readouts:
    """Made up: later blocks are rather right, and the states and the confidence know which are."""
    draw = np.random.default_rng(seed)
    correct_EK = draw.random((examples, BLOCKS)) < right + 0.1 * np.arange(BLOCKS)
    state_EKD = draw.normal(size=(examples, BLOCKS, WIDTH)) + correct_EK[:, :, None]
    confidence_EK = (draw.random((examples, BLOCKS)) + correct_EK) / 2
    answers = [tuple("7" if mark else str(draw.integers(7)) for mark in row) for row in correct_EK]
    rows = [
        Prediction(f"made/{first + e}", "a question", "7", 2, answers[e], tuple(map(bool, correct_EK[e])), "1")
        for e in range(examples)
    ]
    return Readouts(tuple(rows), confidence_EK, state_EKD)
