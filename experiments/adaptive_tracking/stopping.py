"""When to stop reading blocks: rules, how strict they are, and what they give.

Block k never sees block k + 1, so what is read after it is the same whether further blocks follow or not: rules can be
tried on readouts of all blocks. How strict a rule is, is chosen on held-out examples and scored on others.

Axes: E examples, K blocks; a stop is the index of a block, from 0 on.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rim.evaluation.early.adaptive_report import finite, share_json
from rim.evaluation.early.probe import Probe
from rim.evaluation.early.readouts import Readouts
from rim.report.proportion import Proportion

DROP = 0.01
"""By how much a rule's held-out accuracy may stay below that of the last block."""
LEVELS = 40
"""Thresholds of a score that are tried."""


@dataclass(frozen=True)
class Point:
    """Accuracy against blocks: `stops` counts examples by the block that they stop at, from block 1 to block K.

    `threshold` is how strict the rule was.
    """

    threshold: float
    stops: tuple[int, ...]
    accuracy: Proportion

    @property
    def blocks(self) -> float:
        """Mean number of blocks that were read."""
        return sum(block * count for block, count in enumerate(self.stops, 1)) / sum(self.stops)


@dataclass(frozen=True)
class Curve:
    """A rule at every threshold, from lenient to strict: on examples that are scored, and on held-out ones.

    `chosen` is the index of the threshold that the held-out examples chose.
    """

    rule: str
    points: tuple[Point, ...]
    validation: tuple[Point, ...]
    chosen: int

    @property
    def point(self) -> Point:
        return self.points[self.chosen]


def stops_by_score(score_EK: np.ndarray, threshold: float) -> np.ndarray:
    """[E] the first block whose score is at least the threshold; the last where none is."""
    reached_EK = score_EK >= threshold
    reached_EK[:, -1] = True
    return reached_EK.argmax(1)


def stops_by_agreement(answers: Sequence[Sequence[str]], count: int) -> np.ndarray:
    """[E] the first block at which the last `count` answers are the same text; the last where they never are."""
    return np.array([_agreed(row, count) for row in answers], dtype=int)


def stops_by_oracle(correct_EK: np.ndarray) -> np.ndarray:
    """[E] the first block whose answer is right; the last where none is. An upper bound: it knows what is right."""
    return stops_by_score(correct_EK.astype(float), 1.0)


def levels(score_EK: np.ndarray) -> list[float]:
    """Thresholds that stop more or less often: quantiles of the scores, and infinity, which never stops early."""
    return [*np.unique(np.quantile(score_EK, np.linspace(0, 1, LEVELS))).tolist(), math.inf]


def point(correct_EK: np.ndarray, stop_E: np.ndarray, threshold: float) -> Point:
    right = int(correct_EK[np.arange(len(stop_E)), stop_E].sum())
    stops = np.bincount(stop_E, minlength=correct_EK.shape[1])
    return Point(threshold, tuple(stops.tolist()), Proportion(right, len(stop_E)))


def curve(
    rule: str,
    thresholds: Sequence[float],
    scored: tuple[np.ndarray, Callable[[float], np.ndarray]],
    validation: tuple[np.ndarray, Callable[[float], np.ndarray]],
    drop: float = DROP,
) -> Curve:
    """A rule at all thresholds.

    Args:
        thresholds: from lenient to strict; the last one never stops early.
        scored: of the examples that are scored, which answers are right [E, K], and threshold → stops [E].
        validation: the same of others, which alone choose.
    """
    points, others = (
        tuple(point(correct_EK, stops(threshold), threshold) for threshold in thresholds)
        for correct_EK, stops in (scored, validation)
    )
    return Curve(rule, points, others, choose(others, drop))


def choose(points: Sequence[Point], drop: float = DROP) -> int:
    """Index of the point with fewest blocks among those that lose at most `drop` of the last point's accuracy.

    Of equal ones that with more right answers, then the stricter one.
    """
    least = points[-1].accuracy.correct - drop * points[-1].accuracy.count
    allowed = [index for index, each in enumerate(points) if each.accuracy.correct >= least]
    return min(allowed, key=lambda index: (points[index].blocks, -points[index].accuracy.correct, -index))


def _agreed(row: Sequence[str], count: int) -> int:
    same = (len(set(row[last + 1 - count : last + 1])) == 1 for last in range(count - 1, len(row)))
    return next((last for last, agreed in enumerate(same, count - 1) if agreed), len(row) - 1)


def curves_of(fitting: Readouts, probe: Probe, scored: Readouts) -> tuple[Curve, ...]:
    """All rules on examples that fitted nothing; those that fitted the probe choose the thresholds, too."""
    scores = {"confidence": scored.confidence_EK, "probe": probe.score(scored.state_EKD)}
    held = {"confidence": fitting.confidence_EK, "probe": probe.validation_EK}

    def by_score(name: str) -> Curve:
        return curve(
            name,
            levels(held[name]),
            (scored.correct_EK, lambda threshold: stops_by_score(scores[name], threshold)),
            (fitting.correct_EK, lambda threshold: stops_by_score(held[name], threshold)),
        )

    agreement = curve(
        "agreement",
        range(2, scored.correct_EK.shape[1] + 1),
        (scored.correct_EK, lambda count: stops_by_agreement(scored.answers, int(count))),
        (fitting.correct_EK, lambda count: stops_by_agreement(fitting.answers, int(count))),
    )
    return by_score("confidence"), agreement, by_score("probe")


def rules_json(fitting: Readouts, probe: Probe, scored: Readouts, confidence: float) -> dict[str, Any]:
    """`oracle` and `rules` in plain types; a threshold that never stops early is null."""

    def at(each: Point) -> dict[str, Any]:
        facts = {"threshold": finite(each.threshold), "blocks": each.blocks, "stops": list(each.stops)}
        return {**facts, **share_json(each.accuracy, confidence)}

    oracle = at(point(scored.correct_EK, stops_by_oracle(scored.correct_EK), 1.0))
    rules = {
        each.rule: {
            "chosen": each.chosen,
            "points": [at(found) for found in each.points],
            "validation": [at(found) for found in each.validation],
        }
        for each in curves_of(fitting, probe, scored)
    }
    return {"drop": DROP, "oracle": oracle, "rules": rules}
