"""A linear probe on the states that answers are read from: is this readout right?

It is one logistic regression for the readouts of all blocks, so that its scores compare between blocks, on standardised
states. How strongly its weights are held small (L2) is the one thing to choose, and examples left out of the fit choose
it. In arXiv 2605.30343 such probes reach an AUROC of 83.6 to 85.0 (times 100).

Axes: E examples, K blocks, D width, N readouts (E x K of them), F folds, R resamples, G different scores.
"""

import math
from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from rim.base.errors import UserError
from rim.report.statistics import interval_of

FOLDS = 5
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Values of scikit-learn's C, the inverse of the weights' penalty."""
RESAMPLES = 500


class ProbeError(UserError):
    """Readouts from which no probe can be fitted."""


@dataclass(frozen=True)
class Probe:
    """A fitted probe: `strength` is its C, and `validation_EK` the scores of the fitting examples, each by a probe that
    was fitted without that example."""

    model: Pipeline
    strength: float
    validation_EK: np.ndarray

    def score(self, state_EKD: np.ndarray) -> np.ndarray:
        """[E, K] probability that each readout is right."""
        return self.model.predict_proba(_rows(state_EKD))[:, 1].reshape(state_EKD.shape[:2])


def fit_probe(state_EKD: np.ndarray, correct_EK: np.ndarray) -> Probe:
    """Fit a probe on examples that are to be in no score.

    Raises:
        ProbeError: too few examples have a right readout, or a wrong one.
    """
    fold_N = np.repeat(folds(correct_EK), correct_EK.shape[1])
    states_ND, correct_N = _rows(state_EKD), correct_EK.ravel()
    left_out = {strength: _left_out(states_ND, correct_N, fold_N, strength) for strength in STRENGTHS}
    best = min(STRENGTHS, key=lambda strength: log_loss(correct_N, left_out[strength]))
    return Probe(_model(best).fit(states_ND, correct_N), best, left_out[best].reshape(correct_EK.shape))


def folds(correct_EK: np.ndarray) -> np.ndarray:
    """[E] the fold of each example: all readouts of an example in one, the numbers of right ones spread evenly.

    Whichever fold is left out, the others have right readouts and wrong ones.

    Raises:
        ProbeError: fewer than two examples have a right readout, or a wrong one.
    """
    right, wrong = int(correct_EK.any(1).sum()), int((~correct_EK).any(1).sum())
    if min(right, wrong) < 2:
        raise ProbeError(
            f"of {len(correct_EK)} fitting examples {right} have a right readout and {wrong} a wrong one: a probe "
            "learns from both, and needs 2 examples of each, one to fit and one to check. Raise evaluation.probe_rows, "
            "or choose a checkpoint (--checkpoint) or a validation set (data.validation) that are neither always right "
            "nor always wrong"
        )
    order = np.argsort(correct_EK.sum(1), kind="stable")
    fold_E = np.empty(len(order), dtype=int)
    fold_E[order] = np.arange(len(order)) % min(FOLDS, right, wrong)
    return fold_E


@dataclass(frozen=True)
class Auroc:
    """How often a right readout has a higher score than a wrong one; nan where there are not both."""

    value: float
    low: float
    high: float


def auroc(
    score_EK: np.ndarray, correct_EK: np.ndarray, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Auroc:
    """Area under the curve of true over false positives, with an interval by a bootstrap over examples.

    Resamples without right or without wrong readouts are left out.

    Args:
        score_EK: higher for readouts that are rather right; any number K of them per example.
        confidence: of the interval, between 0 and 1.
    """
    examples, blocks = correct_EK.shape
    drawn_RE = np.random.default_rng(seed).multinomial(examples, np.full(examples, 1 / examples), size=resamples)
    times_RN = np.repeat(np.vstack([np.ones(examples, dtype=int), drawn_RE]), blocks, axis=1)
    value, *values = _areas(score_EK.ravel(), correct_EK.ravel(), times_RN).tolist()
    found = [each for each in values if not math.isnan(each)]
    if math.isnan(value):
        return Auroc(math.nan, math.nan, math.nan)
    return Auroc(value, *(interval_of(np.array(found), confidence) if found else (0.0, 1.0)))


def _areas(score_N: np.ndarray, correct_N: np.ndarray, times_RN: np.ndarray) -> np.ndarray:
    """[R] the areas where each readout counts so many times; of equal scores half the pairs count."""
    order = np.argsort(score_N, kind="stable")
    first_G = np.unique(score_N[order], return_index=True)[1]
    right_RG = np.add.reduceat((times_RN * correct_N)[:, order], first_G, axis=1).astype(float)
    wrong_RG = np.add.reduceat((times_RN * ~correct_N)[:, order], first_G, axis=1).astype(float)
    below_RG = wrong_RG.cumsum(1) - wrong_RG / 2
    pairs_R = right_RG.sum(1) * wrong_RG.sum(1)
    return np.where(pairs_R > 0, (right_RG * below_RG).sum(1) / np.maximum(pairs_R, 1), np.nan)


def _model(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=10_000))


def _left_out(states_ND: np.ndarray, correct_N: np.ndarray, fold_N: np.ndarray, strength: float) -> np.ndarray:
    """[N] scores by the probe that was fitted without a readout's fold."""
    split = PredefinedSplit(fold_N)
    return cross_val_predict(_model(strength), states_ND, correct_N, cv=split, method="predict_proba")[:, 1]


def _rows(state_EKD: np.ndarray) -> np.ndarray:
    """[N, D] in double precision, in which the fit converges."""
    return state_EKD.reshape(-1, state_EKD.shape[-1]).astype(np.float64)
