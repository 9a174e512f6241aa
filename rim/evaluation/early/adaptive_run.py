"""Loads a run to choose among its answers: the model, the validation set that fits the probe, and the test sets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from rim.backbone.backbone import Backbone
from rim.data.joined import Split
from rim.data.prepare import prepare_tests, prepare_validation
from rim.data.store import EncodedSplit
from rim.evaluation.device import scoring_device
from rim.evaluation.early.adaptive import Adaptive, check_adaptive, judged
from rim.evaluation.early.probe import fit_probe
from rim.evaluation.early.readouts import Readouts, read_out
from rim.evaluation.evaluator import Evaluator
from rim.evaluation.finished import evaluator_of, facts_of
from rim.evaluation.scoring import rule_facts
from rim.runs.folder import RunFolder
from rim.settings import Config


@dataclass(frozen=True)
class AdaptiveRun:
    """All that choosing takes; `facts` say what was read: weights, update, blocks, layer, validation set."""

    config: Config
    backbone: Backbone
    evaluator: Evaluator
    validation: Split
    tests: Mapping[str, EncodedSplit]
    facts: dict[str, Any]

    def about(self, source: str) -> dict[str, Any]:
        """What stands beside the numbers of a test set."""
        return {"source": source, "rule": rule_facts(self.tests[source].answer_rule), **self.facts}

    def read(self, split: Split) -> Readouts:
        """All readouts of a split."""
        return read_out(self.evaluator, self.backbone, split, self.config.evaluation)

    def results(self) -> Iterator[Adaptive]:
        """One for each test set, in order; the probe is fitted once, on all of `validation`.

        Raises:
            ProbeError: validation readouts are all right or all wrong, or nearly so.
            AdaptiveError: all examples of a test set fitted the probe.
        """
        fitting = self.read(self.validation)
        probe = fit_probe(fitting.state_EKD, fitting.correct_EK)
        for source, split in self.tests.items():
            yield judged(source, fitting, probe, self.read(split), self.config.evaluation.confidence)


def open_adaptive(folder: RunFolder, config: Config, weights: str | None) -> AdaptiveRun:
    """Load a run for it.

    Args:
        weights: name of the weights; None: the final pick.

    Raises:
        UserError: a method of one answer, or data or weights that cannot be had.
    """
    check_adaptive(config)
    backbone, about = folder.load_backbone(weights)
    backbone = backbone.to(scoring_device(config.training.accelerator))
    rows = replace(config.data, validation_rows=config.evaluation.probe_rows)
    validation = prepare_validation(rows, backbone.tokenizer, config.run.seed)
    tests = prepare_tests(config.data, backbone.tokenizer)
    return AdaptiveRun(
        config=config,
        backbone=backbone,
        evaluator=evaluator_of(folder, config, backbone, (validation, *tests.values())),
        validation=validation,
        tests=tests,
        facts=facts_of(about, config) | {"validation": rows.validation, "layer": config.evaluation.probe_layer},
    )
