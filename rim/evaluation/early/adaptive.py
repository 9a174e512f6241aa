"""Chooses among the K answers of a question, and asks how well scores tell right ones, on examples that fitted nothing.

The validation set of the run fits the probe. An example that did so is left out of every score, by its id.

Axes: E examples, K blocks.
"""

from dataclasses import dataclass

import numpy as np

from rim.base.errors import UserError
from rim.evaluation.early.probe import Auroc, Probe, auroc
from rim.evaluation.early.readouts import Readouts
from rim.report.proportion import Proportion
from rim.settings import Config

METHODS = ("memory_blocks", "looped")
"""Methods that teach an answer after every block."""


class AdaptiveError(UserError):
    """Answers that cannot be chosen among, or a test set that has none left to score."""


@dataclass(frozen=True)
class Adaptive:
    """What choosing gives on one test set.

    `fixed` is the accuracy after each block and `oracle` where some block is right: an upper bound. `chosen` and
    `aurocs` are by score, probe and confidence; the latter for all readouts, those of each block, and those that the
    score chooses. `excluded` examples of the test set fitted the probe. `fitted` are those that did, in all.
    """

    source: str
    excluded: int
    fitted: int
    strength: float
    fixed: tuple[Proportion, ...]
    oracle: Proportion
    chosen: dict[str, Proportion]
    aurocs: dict[str, dict[str, Auroc]]

    @property
    def final(self) -> Proportion:
        """Right after the last block: the score."""
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
            f"memory.blocks = {config.memory.blocks}: there is nothing to choose among; use a run of 2 blocks or more, "
            "or read this one with more (memory.blocks=2)"
        )


def judged(source: str, fitting: Readouts, probe: Probe, test: Readouts, confidence: float) -> Adaptive:
    """The choices and scores on a test set, without the examples that fitted the probe.

    Args:
        fitting: examples that fitted the probe.
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
    return Adaptive(
        source=source,
        excluded=len(test.predictions) - len(scored.predictions),
        fitted=len(fitting.predictions),
        strength=probe.strength,
        fixed=tuple(_share(correct_E) for correct_E in correct_EK.T),
        oracle=_share(correct_EK.max(1)),
        chosen={name: _share(_at(correct_EK, choose_answers(score))[:, 0]) for name, score in scores.items()},
        aurocs={name: _aurocs(score, correct_EK, confidence) for name, score in scores.items()},
    )


def choose_answers(score_EK: np.ndarray) -> np.ndarray:
    """[E, 1] the block with the highest score; of equal ones the last, which has read most."""
    return score_EK.shape[1] - 1 - score_EK[:, ::-1].argmax(1)[:, None]


def _aurocs(score_EK: np.ndarray, correct_EK: np.ndarray, confidence: float) -> dict[str, Auroc]:
    chosen = choose_answers(score_EK)
    parts = {"all": (score_EK, correct_EK)}
    parts |= {str(k + 1): (score_EK[:, [k]], correct_EK[:, [k]]) for k in range(score_EK.shape[1])}
    parts["chosen"] = (_at(score_EK, chosen), _at(correct_EK, chosen))
    return {name: auroc(*part, confidence) for name, part in parts.items()}


def _at(value_EK: np.ndarray, block_EB: np.ndarray) -> np.ndarray:
    return np.take_along_axis(value_EK, block_EB, axis=1)


def _share(correct_E: np.ndarray) -> Proportion:
    return Proportion(int(correct_E.sum()), len(correct_E))
