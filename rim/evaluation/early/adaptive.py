"""Reading an answer before all blocks are read, and choosing among the K answers, on examples that fitted nothing.

The held-out source of the run fits the probe and chooses how strict each rule is. An example that did so is left out of
every score, by its id.

Axes: E examples, K blocks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from rim.backbone.backbone import Backbone
from rim.base.errors import UserError
from rim.data.joined import Split
from rim.data.store import EncodedSplit
from rim.evaluation.early import stopping
from rim.evaluation.early.probe import Auroc, Probe, auroc, fit_probe
from rim.evaluation.early.readouts import Readouts, read_out
from rim.evaluation.early.stopping import Choice, Curve, Point
from rim.evaluation.evaluator import Evaluator
from rim.report.proportion import Proportion
from rim.settings import Config, Evaluation

METHODS = ("memory_blocks", "looped")
"""Methods that teach an answer after every block."""


class AdaptiveError(UserError):
    """Answers that cannot be read early, or a test set that has none left to score."""


@dataclass(frozen=True)
class Adaptive:
    """What reading early gives on one test set.

    `fixed` is the accuracy after each block and `oracle` where some block is right: an upper bound. `choices` and
    `aurocs` are by score, probe and confidence; the latter for all readouts, those of each block, and those that the
    score chooses. `excluded` examples of the test set fitted the probe. `fitted` are those that did, in all.
    """

    source: str
    excluded: int
    fitted: int
    strength: float
    fixed: tuple[Proportion, ...]
    oracle: Point
    curves: tuple[Curve, ...]
    choices: dict[str, Choice]
    aurocs: dict[str, dict[str, Auroc]]

    @property
    def final(self) -> Proportion:
        return self.fixed[-1]


def check_adaptive(config: Config) -> None:
    """Refuse runs without several readouts, before anything is loaded.

    Raises:
        AdaptiveError: names the setting.
    """
    if config.method.name not in METHODS:
        raise AdaptiveError(
            f"method.name = {config.method.name}: it gives one answer to a question, and --adaptive chooses among "
            f"those after several blocks; use a run of {' or '.join(METHODS)}"
        )
    if config.memory.blocks < 2:
        raise AdaptiveError(
            f"memory.blocks = {config.memory.blocks}: there is nothing to stop before or to choose among; use a run of "
            "2 blocks or more, or read this one with more (memory.blocks=2)"
        )


def read_early(
    evaluator: Evaluator, backbone: Backbone, held_out: Split, tests: Mapping[str, EncodedSplit], settings: Evaluation
) -> Iterator[Adaptive]:
    """One result for each test set, in order; the probe is fitted once, on all of `held_out`.

    Raises:
        ProbeError: held-out readouts are all right or all wrong, or nearly so.
        AdaptiveError: all examples of a test set fitted the probe.
    """
    fitting = read_out(evaluator, backbone, held_out, settings)
    probe = fit_probe(fitting.state_EKD, fitting.correct_EK)
    for source, split in tests.items():
        yield judged(source, fitting, probe, read_out(evaluator, backbone, split, settings), settings.confidence)


def judged(source: str, fitting: Readouts, probe: Probe, test: Readouts, confidence: float) -> Adaptive:
    """The rules and scores on a test set, without the examples that fitted the probe.

    Args:
        fitting: examples that fitted the probe; they choose the thresholds, too.
        confidence: of the intervals of AUROCs, between 0 and 1.

    Raises:
        AdaptiveError: none is left.
    """
    scored = test.without(set(fitting.ids))
    if not scored.predictions:
        raise AdaptiveError(
            f"all {len(test.predictions)} examples of {source} fitted the probe, so none is left to score: test "
            "another source, or lower evaluation.probe_rows"
        )
    correct_EK = scored.correct_EK
    scores = {"confidence": scored.confidence_EK, "probe": probe.score(scored.state_EKD)}
    held = {"confidence": fitting.confidence_EK, "probe": probe.held_out_EK}
    by_score = {name: _by_score(name, scores[name], correct_EK, held[name], fitting.correct_EK) for name in scores}
    return Adaptive(
        source=source,
        excluded=len(test.predictions) - len(scored.predictions),
        fitted=len(fitting.predictions),
        strength=probe.strength,
        fixed=tuple(Proportion(int(right), len(correct_EK)) for right in correct_EK.sum(0)),
        oracle=stopping.point(correct_EK, stopping.stops_by_oracle(correct_EK), 1.0),
        curves=(by_score["confidence"], _by_agreement(scored, fitting), by_score["probe"]),
        choices={name: stopping.choice(correct_EK, stopping.choose_answers(score)) for name, score in scores.items()},
        aurocs={name: _aurocs(score, correct_EK, confidence) for name, score in scores.items()},
    )


def _by_score(
    name: str, score_EK: np.ndarray, correct_EK: np.ndarray, held_EK: np.ndarray, held_correct_EK: np.ndarray
) -> Curve:
    return stopping.curve(
        name,
        stopping.levels(held_EK),
        (correct_EK, lambda threshold: stopping.stops_by_score(score_EK, threshold)),
        (held_correct_EK, lambda threshold: stopping.stops_by_score(held_EK, threshold)),
    )


def _by_agreement(scored: Readouts, fitting: Readouts) -> Curve:
    return stopping.curve(
        "agreement",
        range(2, scored.correct_EK.shape[1] + 1),
        (scored.correct_EK, lambda count: stopping.stops_by_agreement(scored.answers, int(count))),
        (fitting.correct_EK, lambda count: stopping.stops_by_agreement(fitting.answers, int(count))),
    )


def _aurocs(score_EK: np.ndarray, correct_EK: np.ndarray, confidence: float) -> dict[str, Auroc]:

    def at(block_EK: np.ndarray) -> Auroc:
        score, correct = (np.take_along_axis(each, block_EK, axis=1) for each in (score_EK, correct_EK))
        return auroc(score, correct, confidence)

    everywhere_EK = np.tile(np.arange(score_EK.shape[1]), (len(score_EK), 1))
    by_block = {str(k + 1): at(everywhere_EK[:, [k]]) for k in range(score_EK.shape[1])}
    return {"all": at(everywhere_EK), **by_block, "chosen": at(stopping.choose_answers(score_EK)[:, None])}
