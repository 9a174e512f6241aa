"""The rules of `early/stopping.py` while blocks are read one by one (`rim.backbone.early`).

Axes: D width.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from rim.backbone.early import Readout, Rule


def by_confidence(threshold: float) -> Rule:
    """Stops where the answer's first token has at least this probability."""
    return lambda seen: seen[-1].probability >= threshold


def by_agreement(count: int, text: Callable[[Sequence[int]], str]) -> Rule:
    """Stops where the last `count` answers are the same text; decodes every answer.

    Args:
        text: tokens of an answer → what is compared.
    """

    def rule(seen: Sequence[Readout]) -> bool:
        newest = text(seen[-1].answer)  # decoded now: later blocks are read into the same cache
        return len(seen) >= count and all(text(readout.answer) == newest for readout in seen[-count:])

    return rule


def by_probe(line: tuple[np.ndarray, float], threshold: float) -> Rule:
    """Stops where the probe gives at least this probability of being right.

    Args:
        line: weights [D] and bias (`Probe.line`); the states must be watched (`read_until(layer=…)`).
    """
    weight_D, bias = torch.from_numpy(np.asarray(line[0], dtype=np.float32)), line[1]

    def rule(seen: Sequence[Readout]) -> bool:
        state_D = seen[-1].state_D
        assert state_D is not None, "a probe reads states, and no layer was watched"
        return float(torch.sigmoid(state_D.float() @ weight_D.to(state_D.device) + bias)) >= threshold

    return rule
