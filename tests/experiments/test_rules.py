"""Rules that run while blocks are read stop where they were worked out to stop, on a tiny trained run.

Axes: E examples, K blocks.
"""

import numpy as np
import pytest
import stopping
from one_by_one import Readout, by_agreement, by_confidence, by_probe, line_of, read_until

from rim.backbone.observer import layer_at
from rim.evaluation.early.adaptive_run import AdaptiveRun, open_adaptive
from rim.evaluation.early.probe import Probe, fit_probe
from rim.evaluation.early.readouts import Readouts, read_out
from rim.runs.folder import RunFolder
from tests.runs import tiny
from tests.swift import fit

SHORT = ("stages.0.duration=6 steps", "stages.1.duration=4 steps", "training.save_every=50 steps")
SOURCE = "tracking/test"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> AdaptiveRun:
    folder = tmp_path_factory.mktemp("online")
    assert fit(tiny(folder, *SHORT, "method.answer_cue=So: ")) == 0
    found = RunFolder(folder / "run")
    return open_adaptive(found, found.config(), None)


@pytest.fixture(scope="module")
def readouts(run: AdaptiveRun) -> Readouts:
    return read_out(run.evaluator, run.backbone, run.tests[SOURCE], run.config.evaluation)


@pytest.fixture(scope="module")
def probe(run: AdaptiveRun) -> Probe:
    found = read_out(run.evaluator, run.backbone, run.validation, run.config.evaluation)
    return fit_probe(found.state_EKD, found.correct_EK)


def online(run: AdaptiveRun, readouts: Readouts, rule) -> list[Readout]:
    """Every example of the test set, in the order of the readouts."""
    split = run.tests[SOURCE]
    examples = {split[row].id: split[row] for row in range(len(split))}
    layer, longest = layer_at(run.backbone, None), run.evaluator.max_new_tokens()
    prompts = [run.evaluator.method.prompt(examples[name]) for name in readouts.ids]
    return [read_until(run.backbone, prompt, longest, rule, layer) for prompt in prompts]


def text(run: AdaptiveRun, tokens: list[int]) -> str:
    [written] = run.backbone.tokenizer.batch_decode([tokens], skip_special_tokens=True)
    return run.evaluator.method.answer_in(written)


def between(score_EK: np.ndarray) -> list[float]:
    """Thresholds that lie well between two scores."""
    scores = np.unique(score_EK)
    gaps = np.argsort(np.diff(scores))[-3:]
    return [float(scores[gap] + scores[gap + 1]) / 2 for gap in gaps]


def check(run: AdaptiveRun, readouts: Readouts, rule, stop_E: np.ndarray) -> None:
    found = online(run, readouts, rule)
    assert [readout.block - 1 for readout in found] == stop_E.tolist()
    answers = [row[stop] for row, stop in zip(readouts.answers, stop_E, strict=True)]
    assert [text(run, readout.answer) for readout in found] == answers


def test_confidence(run: AdaptiveRun, readouts: Readouts) -> None:
    for threshold in between(readouts.confidence_EK):
        stop_E = stopping.stops_by_score(readouts.confidence_EK, threshold)
        check(run, readouts, by_confidence(threshold), stop_E)


def test_probe(run: AdaptiveRun, readouts: Readouts, probe: Probe) -> None:
    score_EK = probe.score(readouts.state_EKD)
    for threshold in between(score_EK):
        check(run, readouts, by_probe(line_of(probe), threshold), stopping.stops_by_score(score_EK, threshold))


@pytest.mark.parametrize("count", [2, 3])
def test_agreement(count: int, run: AdaptiveRun, readouts: Readouts) -> None:
    stop_E = stopping.stops_by_agreement(readouts.answers, count)
    check(run, readouts, by_agreement(count, lambda tokens: text(run, list(tokens))), stop_E)


def test_the_line_is_the_probe(readouts: Readouts, probe: Probe) -> None:
    weight_D, bias = line_of(probe)
    score_EK = 1 / (1 + np.exp(-(readouts.state_EKD @ weight_D + bias)))
    assert np.allclose(score_EK, probe.score(readouts.state_EKD), atol=1e-9)
