"""Stopping rules on tables by eye and on random ones against literal loops; thresholds come from the validation set.

Axes: E examples, K blocks.
"""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import stopping
from figure import adaptive_figure
from stopping import Point

from rim.evaluation.early.adaptive import judged
from rim.evaluation.early.adaptive_report import adaptive_json
from rim.evaluation.early.probe import fit_probe
from rim.report.proportion import Proportion
from tests.evaluation.fakes import readouts

BLOCKS = 4


def random_scores(seed: int, examples: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Scores with many ties, and which answers are right: rather those of high scores and of late blocks."""
    draw = np.random.default_rng(seed)
    score_EK = draw.integers(0, 6, (examples, BLOCKS)) / 5
    return score_EK, draw.random((examples, BLOCKS)) < 0.1 + 0.4 * score_EK + 0.05 * np.arange(BLOCKS)


def literal_score(row: Sequence[float], threshold: float) -> int:
    for block, score in enumerate(row):
        if score >= threshold:
            return block
    return len(row) - 1


def literal_agreement(row: Sequence[str], count: int) -> int:
    streak = 0
    for block, answer in enumerate(row):
        streak = streak + 1 if block and answer == row[block - 1] else 1
        if streak >= count:
            return block
    return len(row) - 1


@pytest.mark.parametrize(
    ("row", "threshold", "stop"),
    [
        ([0.2, 0.9, 0.1, 0.95], 0.5, 1),
        ([0.2, 0.9, 0.1, 0.95], 0.9, 1),
        ([0.2, 0.9, 0.1, 0.95], 0.92, 3),
        ([0.2, 0.9, 0.1, 0.95], 0.0, 0),
        ([0.2, 0.9, 0.1, 0.95], 0.99, 3),
        ([1.0, 1.0, 1.0, 1.0], math.inf, 3),
    ],
)
def test_a_score_stops_at_the_first_block_that_reaches_the_threshold(
    row: list[float], threshold: float, stop: int
) -> None:
    assert stopping.stops_by_score(np.array([row]), threshold).tolist() == [stop]


@pytest.mark.parametrize(
    ("row", "count", "stop"),
    [
        (["3", "3", "4", "4"], 2, 1),
        (["3", "4", "4", "4"], 2, 2),
        (["3", "4", "4", "4"], 3, 3),
        (["3", "4", "3", "4"], 2, 3),
        (["3", "3", "3", "3"], 4, 3),
        (["3", "3", "3", "3"], 1, 0),
        (["", "", "1", "1"], 2, 1),
    ],
)
def test_agreement_stops_after_equal_answers_in_a_row(row: list[str], count: int, stop: int) -> None:
    assert stopping.stops_by_agreement([row], count).tolist() == [stop]


@pytest.mark.parametrize("seed", range(5))
def test_rules_are_those_of_literal_loops(seed: int) -> None:
    score_EK, correct_EK = random_scores(seed)
    before_EK = score_EK.copy()
    for threshold in stopping.levels(score_EK):
        found = stopping.stops_by_score(score_EK, threshold).tolist()
        assert found == [literal_score(row, threshold) for row in score_EK]
    assert np.array_equal(score_EK, before_EK)
    answers = [[str(int(5 * score)) for score in row] for row in score_EK]
    for count in range(1, BLOCKS + 1):
        found = stopping.stops_by_agreement(answers, count).tolist()
        assert found == [literal_agreement(row, count) for row in answers]
    oracle = [next((k for k, right in enumerate(row) if right), BLOCKS - 1) for row in correct_EK]
    assert stopping.stops_by_oracle(correct_EK).tolist() == oracle


def test_a_point_counts_answers_and_blocks() -> None:
    correct_EK = np.array([[True, False], [False, True], [True, True], [False, False]])
    found = stopping.point(correct_EK, np.array([0, 0, 1, 1]), 0.5)
    assert found == Point(0.5, (2, 2), Proportion(2, 4)) and found.blocks == 1.5


def test_the_oracle_is_right_wherever_a_block_is() -> None:
    _, correct_EK = random_scores(7)
    stops_E = stopping.stops_by_oracle(correct_EK)
    found = stopping.point(correct_EK, stops_E, 1.0)
    assert found.accuracy == Proportion(int(correct_EK.any(1).sum()), len(correct_EK))


def test_levels_reach_from_the_first_block_to_the_last() -> None:
    score_EK, _ = random_scores(3)
    found = stopping.levels(score_EK)
    assert found == sorted(set(found)) and found[-1] == math.inf
    assert stopping.stops_by_score(score_EK, found[0]).tolist() == [0] * len(score_EK)
    assert stopping.stops_by_score(score_EK, found[-1]).tolist() == [BLOCKS - 1] * len(score_EK)


def points(*of: tuple[int, int]) -> list[Point]:
    """All 200 examples stop at the block, and so many of them are right."""
    stops = [tuple(200 * (block == at) for block in range(1, 5)) for at, _ in of]
    return [Point(float(index), stops[index], Proportion(right, 200)) for index, (_, right) in enumerate(of)]


@pytest.mark.parametrize(
    ("of", "drop", "chosen"),
    [
        (points((1, 90), (2, 98), (3, 99), (4, 100)), 0.01, 1),
        (points((1, 90), (2, 97), (3, 99), (4, 100)), 0.01, 2),
        (points((1, 90), (2, 97), (3, 99), (4, 100)), 0.0, 3),
        (points((1, 90), (2, 97), (3, 99), (4, 100)), 0.05, 0),
        (points((1, 120), (2, 100)), 0.0, 0),
        (points((1, 99), (1, 101), (1, 101), (2, 100)), 0.01, 2),
    ],
)
def test_the_fewest_blocks_within_the_drop_are_chosen(of: list[Point], drop: float, chosen: int) -> None:
    assert stopping.choose(of, drop) == chosen


@pytest.mark.parametrize("seed", range(3))
def test_the_scored_examples_choose_no_threshold(seed: int) -> None:
    """Whatever is scored, the choice is the one that a literal search of the validation set makes."""
    held_EK, held_correct_EK = random_scores(seed)
    thresholds = stopping.levels(held_EK)

    def made(score_EK: np.ndarray, correct_EK: np.ndarray) -> stopping.Curve:
        return stopping.curve(
            "probe",
            thresholds,
            (correct_EK, lambda threshold: stopping.stops_by_score(score_EK, threshold)),
            (held_correct_EK, lambda threshold: stopping.stops_by_score(held_EK, threshold)),
            drop=0.1,
        )

    curves = [made(*random_scores(100 + other, 30)) for other in range(4)]
    fewest, final = math.inf, held_correct_EK[:, -1].mean()
    for threshold in thresholds:
        stops = [literal_score(row, threshold) for row in held_EK]
        right = np.mean([held_correct_EK[e, k] for e, k in enumerate(stops)])
        if right >= final - 0.1 - 1e-9:
            fewest = min(fewest, float(np.mean(stops)) + 1)
    assert len({curve.chosen for curve in curves}) == 1
    assert curves[0].validation[curves[0].chosen].blocks == pytest.approx(fewest)
    assert 1 < curves[0].point.blocks < BLOCKS and len({curve.point for curve in curves}) > 1
    for curve, other in zip(curves, range(4), strict=True):
        score_EK, correct_EK = random_scores(100 + other, 30)
        stops = [literal_score(row, curve.point.threshold) for row in score_EK]
        assert curve.point.accuracy.correct == sum(correct_EK[e, k] for e, k in enumerate(stops))


def test_thresholds_do_not_depend_on_what_is_scored() -> None:
    fitting = readouts(0, 60, 3)
    probe = fit_probe(fitting.state_EKD, fitting.correct_EK)
    tests = (readouts(100, 50, seed, right) for seed, right in ((4, 0.2), (5, 0.8)))
    first, second = (stopping.curves_of(fitting, probe, test) for test in tests)
    for one, other in zip(first, second, strict=True):
        assert one.chosen == other.chosen and one.validation == other.validation and one.points != other.points


def test_the_picture_shows_every_rule_dot_and_the_oracle() -> None:
    fitting, test = readouts(0, 60, 1), readouts(100, 50, 2)
    probe = fit_probe(fitting.state_EKD, fitting.correct_EK)
    found = judged("made/test", fitting, probe, test, 0.9)
    rules = stopping.rules_json(fitting, probe, test, 0.9)
    assert rules["rules"]["probe"]["points"][-1]["threshold"] is None, "a threshold that never stops"
    assert rules["oracle"]["correct"] == found.oracle.correct
    axes = adaptive_figure({"source": "made/test", **adaptive_json(found, 0.9), **rules}).axes[0]
    assert axes.get_xlabel() == "mean number of blocks read" and axes.get_ylabel() == "accuracy (50 examples)"
    names = [
        "confidence in the first token",
        "agreement of answers",
        "probe",
        "first right block (oracle)",
        "always block k",
    ]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == names
    lines = {line.get_label(): line for line in axes.get_lines()}
    for curve, name in zip(stopping.curves_of(fitting, probe, test), names, strict=False):
        drawn = [*zip(*(values.tolist() for values in lines[name].get_data()), strict=True)]
        assert sorted(drawn) == sorted((each.blocks, each.accuracy.value) for each in curve.points)
    fixed = axes.containers[0].lines[0].get_data()[1].tolist()
    assert fixed == [share.value for share in found.fixed] and not any(map(math.isnan, fixed))
