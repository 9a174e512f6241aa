"""Evaluates the model of a run folder without a trainer."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rim.base.files import write_json
from rim.data.encode import EncodedSplit
from rim.data.prepare import prepare_tests
from rim.evaluation.beside import Other, beside_report
from rim.evaluation.device import scoring_device
from rim.evaluation.evaluator import Evaluator
from rim.evaluation.finished import evaluator_of, facts_of, settings_of
from rim.evaluation.protocol import check_numbers, select_by_splits
from rim.evaluation.report import selection_report
from rim.evaluation.scoring import rule_facts, score_source, write_result
from rim.runs.checkpoint import read_about
from rim.runs.folder import RunFolder
from rim.settings import Config


def evaluate(
    path: Path,
    overrides: Sequence[str],
    sources: Sequence[str] | None,
    weights: str | None,
    *,
    protocol: bool = False,
    adaptive: bool = False,
    beside: Sequence[Path] = (),
) -> None:
    """Score a run on test sources, print the report, and write `results/`: a report that no disk takes has been read.

    Args:
        overrides: of settings that do not change the weights.
        sources: test sources; none: the run's own.
        weights: name of the weights; None: the final pick.
        protocol: choose among all weights instead, as the paper does.
        adaptive: choose among the answers of all blocks instead.
        beside: other runs, whose recorded scores of the same rows are printed after the controls.

    Raises:
        UserError: no such run, weights, source or setting; each says what there is.
        SaveError: results cannot be written.
    """
    folder = RunFolder(path)
    config = settings_of(folder, overrides, sources)
    if adaptive:
        _choose(folder, config, weights)
        return
    backbone, about = folder.load_backbone(weights)
    backbone = backbone.to(scoring_device(config.training.accelerator))
    tests = prepare_tests(config.data, backbone.tokenizer)
    others = {source: [Other.of(each, source, split) for each in beside] for source, split in tests.items()}
    evaluator = evaluator_of(folder, config, backbone, tests.values())
    for source, split in tests.items():
        if protocol:
            _select(folder, config, evaluator, source, split)
            continue
        result = score_source(evaluator, backbone, source, split, config.evaluation)
        print(result.report(config.evaluation.confidence) + "\n")
        file = write_result(result, folder.path / "results", facts_of(about, config))
        print(f"Weights: {about['name']}. Predictions: {file}\n")
        if beside:
            print(beside_report(others[source], result.score, config.evaluation.confidence) + "\n")


def _choose(folder: RunFolder, config: Config, weights: str | None) -> None:
    """Choose among the answers of all blocks, by a probe that validation examples have fitted."""
    # scikit-learn takes a second to import
    from rim.evaluation.early.adaptive_report import adaptive_json, adaptive_report
    from rim.evaluation.early.adaptive_run import open_adaptive

    run, confidence = open_adaptive(folder, config, weights), config.evaluation.confidence
    for result in run.results():
        print(adaptive_report(result, confidence) + "\n")
        file = folder.path / "results" / f"{result.source.replace('/', '-')}-adaptive.json"
        write_json(file, {**run.about(result.source), **adaptive_json(result, confidence)})
        print(f"Weights: {run.facts['name']}. {file}\n")


def _select(folder: RunFolder, config: Config, evaluator: Evaluator, source: str, split: EncodedSplit) -> None:
    """The paper's protocol over all weights of the run, in the order of training."""
    settings = config.evaluation
    check_numbers(len(split), settings.selection_rows, settings.selection_splits)
    files = sorted(folder.weights.glob("*.safetensors"), key=lambda file: (read_about(file)["update"], file.name))
    names, correct = [file.stem for file in files], []
    for name in names:
        backbone, _ = folder.load_backbone(name)
        backbone = backbone.to(scoring_device(config.training.accelerator))
        correct.append([row.final for row in evaluator.run(backbone, split, settings.batch_size)])
    correct_CE, numbers = np.array(correct), (settings.selection_rows, settings.selection_splits)
    result = select_by_splits(correct_CE, names, *numbers, config.run.seed)
    facts = {"mean": result.mean, "standard_error": result.standard_error, "per_split": result.per_split}
    facts["rule"] = rule_facts(split.answer_rule)
    print(f"## {source}\n\n{selection_report(result)}\n")
    write_json(folder.path / "results" / f"{source.replace('/', '-')}-protocol.json", facts)
