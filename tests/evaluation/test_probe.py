"""The probe finds a planted direction and nothing in noise; no score of a fitting example comes from a fit on it.

Axes: E examples, K blocks, D width.
"""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from rim.evaluation.early.probe import FOLDS, Auroc, ProbeError, auroc, fit_probe, folds

BLOCKS, WIDTH = 3, 12


def states(seed: int, examples: int = 80, strength: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """States and marks; `strength` moves the states of right readouts along one direction."""
    draw = np.random.default_rng(seed)
    correct_EK = draw.random((examples, BLOCKS)) < 0.5
    state_EKD = draw.normal(size=(examples, BLOCKS, WIDTH)).astype(np.float32)
    state_EKD[..., 3] += strength * (2 * correct_EK - 1)
    return state_EKD * np.linspace(0.01, 100, WIDTH, dtype=np.float32) + 5, correct_EK


def test_a_planted_direction_is_found() -> None:
    probe = fit_probe(*states(0, strength=1.5))
    state_EKD, correct_EK = states(1, strength=1.5)
    assert auroc(probe.score(state_EKD), correct_EK).value > 0.95
    weight_D = np.abs(probe.model[-1].coef_[0])
    assert weight_D.argmax() == 3 and weight_D[3] > 3 * np.delete(weight_D, 3).max()


def test_noise_is_not() -> None:
    """On other examples and on the fitting ones, since each is scored by a probe that has not seen it."""
    found = [fit_probe(*states(seed)) for seed in range(4)]
    others = [auroc(probe.score(states(9)[0]), states(9)[1]).value for probe in found]
    own = [auroc(probe.validation_EK, states(seed)[1]).value for seed, probe in enumerate(found)]
    assert abs(np.mean(others) - 0.5) < 0.08 and abs(np.mean(own) - 0.5) < 0.1


def test_fitting_examples_are_scored_by_probes_that_have_not_seen_them() -> None:
    """More directions than readouts: a probe is right about all that it was fitted on, whatever the marks are."""
    draw = np.random.default_rng(5)
    state_EKD, correct_EK = draw.normal(size=(40, BLOCKS, 200)), draw.random((40, BLOCKS)) < 0.5
    probe = fit_probe(state_EKD, correct_EK)
    assert auroc(probe.score(state_EKD), correct_EK).value > 0.95
    assert abs(auroc(probe.validation_EK, correct_EK).value - 0.5) < 0.2


@pytest.mark.parametrize("share", [0.03, 0.2, 0.5, 0.97])
def test_every_fold_leaves_right_and_wrong_readouts(share: float) -> None:
    for seed in range(20):
        correct_EK = np.random.default_rng(seed).random((50, BLOCKS)) < share
        correct_EK[:2, 0], correct_EK[2:4, 1] = True, False
        fold_E = folds(correct_EK)
        assert fold_E.shape == (50,) and 2 <= fold_E.max() + 1 <= FOLDS
        sizes = np.bincount(fold_E)
        assert sizes.max() - sizes.min() <= 1
        for fold in range(fold_E.max() + 1):
            rest_EK = correct_EK[fold_E != fold]
            assert rest_EK.any() and not rest_EK.all()


@pytest.mark.parametrize(
    ("correct_EK", "text"),
    [
        (np.ones((9, 2), bool), "of 9 fitting examples 9 have a right readout and 0 a wrong one"),
        (np.zeros((9, 2), bool), "of 9 fitting examples 0 have a right readout and 9 a wrong one"),
        (np.arange(18).reshape(9, 2) < 1, "of 9 fitting examples 1 have a right readout and 9 a wrong one"),
    ],
)
def test_readouts_that_are_all_alike_fit_nothing(correct_EK: np.ndarray, text: str) -> None:
    with pytest.raises(ProbeError, match=text + r".*, or choose a checkpoint \(--checkpoint\) or a validation set"):
        fit_probe(np.zeros((9, 2, 4)), correct_EK)


@pytest.mark.parametrize("ties", [False, True])
def test_areas_are_those_of_scikit_learn(ties: bool) -> None:
    draw = np.random.default_rng(2)
    correct_EK = draw.random((50, BLOCKS)) < 0.4
    score_EK = draw.integers(0, 5, correct_EK.shape) / 5.0 if ties else draw.random(correct_EK.shape) + correct_EK
    found = auroc(score_EK, correct_EK, resamples=200, seed=4)
    assert found.value == pytest.approx(roc_auc_score(correct_EK.ravel(), score_EK.ravel()))
    drawn = np.random.default_rng(4).multinomial(50, np.full(50, 1 / 50), size=200)
    areas = []
    for times in drawn:  # examples as often as they were drawn, with all their readouts
        rows = [row for row, count in enumerate(times) for _ in range(count)]
        areas.append(roc_auc_score(correct_EK[rows].ravel(), score_EK[rows].ravel()))
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(areas, [0.025, 0.975])))


def test_an_area_of_readouts_that_are_all_alike_is_not_defined() -> None:
    found = auroc(np.random.default_rng(0).random((6, 2)), np.ones((6, 2), bool))
    assert all(math.isnan(value) for value in vars(found).values())


def test_resamples_of_one_kind_are_left_out() -> None:
    correct_EK = np.array([[True], [False], [False]])
    found = auroc(np.array([[0.9], [0.1], [0.2]]), correct_EK, resamples=50)
    assert found == Auroc(1.0, 1.0, 1.0)
