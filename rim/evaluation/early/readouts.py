"""All readouts of a split as arrays: what was answered after each block, how surely, and from which state.

Axes: E examples, K blocks, D width.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rim.backbone.backbone import Backbone
from rim.backbone.observer import Observer
from rim.data.joined import Split
from rim.evaluation.evaluator import Evaluator, batches
from rim.evaluation.predictions import Prediction
from rim.settings import Evaluation


@dataclass(frozen=True)
class Readouts:
    """K readouts of each of E examples.

    `confidence_EK` is the probability of each answer's first token, `state_EKD` the state that it is read from.
    """

    predictions: tuple[Prediction, ...]
    confidence_EK: np.ndarray
    state_EKD: np.ndarray

    @cached_property
    def correct_EK(self) -> np.ndarray:
        return np.array([row.correct for row in self.predictions], dtype=bool).reshape(self.confidence_EK.shape)

    @property
    def answers(self) -> list[tuple[str, ...]]:
        return [row.answers for row in self.predictions]

    @property
    def ids(self) -> list[str]:
        return [row.id for row in self.predictions]

    def without(self, ids: Collection[str]) -> "Readouts":
        return self.take([row for row, prediction in enumerate(self.predictions) if prediction.id not in ids])

    def take(self, rows: Sequence[int]) -> "Readouts":
        """Those of these examples, in this order."""
        chosen = np.array(rows, dtype=int)
        predictions = tuple(self.predictions[row] for row in rows)
        return Readouts(predictions, self.confidence_EK[chosen], self.state_EKD[chosen])


def read_out(evaluator: Evaluator, backbone: Backbone, split: Split, settings: Evaluation) -> Readouts:
    """Answer a split as its score is made, and look on.

    Raises:
        EvaluationError: a question does not fit the model.
        ObserverError: the model has no layer `evaluation.probe_layer`.
    """
    predictions: list[Prediction] = []
    confidences, states = [], []
    for rows in batches(split, settings.batch_size):
        observer = Observer(settings.probe_layer)
        predictions += evaluator.predict(backbone, split, rows, observe=observer)
        confidences.append(observer.probability_BK.numpy())
        states.append(observer.state_BKD.numpy())
    return Readouts(tuple(predictions), np.concatenate(confidences), np.concatenate(states))
