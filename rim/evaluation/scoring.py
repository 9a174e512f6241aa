"""Score a model on its test sets with all controls, and write what was found."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rim.backbone.backbone import Backbone
from rim.config import Evaluation
from rim.data.encode import EncodedSplit
from rim.evaluation.evaluator import Evaluator
from rim.evaluation.metrics import Score, score
from rim.evaluation.predictions import Prediction, write_jsonl
from rim.evaluation.report import accuracy_report, to_json
from rim.files import write_json


@dataclass(frozen=True)
class TestResult:
    """One test set: predictions, score, the scores under each control, and those with other numbers of blocks."""

    source: str
    predictions: list[Prediction]
    score: Score
    controls: dict[str, Score]
    read_with: dict[int, Score] = field(default_factory=dict)

    def report(self, confidence: float) -> str:
        """Markdown."""
        return accuracy_report(self.source, self.score, self.controls, confidence, self.read_with)


def score_source(
    evaluator: Evaluator, backbone: Backbone, source: str, split: EncodedSplit, settings: Evaluation
) -> TestResult:
    """Answer a test set as it is, once more under every control that applies, and with each other number of blocks."""

    def scored(control: str | None = None, blocks: int | None = None) -> Score:
        return score(evaluator.run(backbone, split, settings.batch_size, control=control, blocks=blocks))

    predictions = evaluator.run(backbone, split, settings.batch_size)
    controls = [name for name in settings.controls if name in evaluator.method.controls and len(split) > 1]
    return TestResult(
        source,
        predictions,
        score(predictions),
        controls={name: scored(control=name) for name in controls},
        read_with={blocks: scored(blocks=blocks) for blocks in sorted(settings.blocks)},
    )


def write_result(result: TestResult, folder: Path, about: dict[str, Any]) -> Path:
    """`<source>.json` with the score and `<source>.jsonl` with the predictions; returns the latter's path.

    Args:
        about: what was scored: weights, update, blocks.
    """
    stem = result.source.replace("/", "-")
    facts = {**about, "source": result.source, **to_json(result.score)}
    facts["controls"] = {name: to_json(control) for name, control in result.controls.items()}
    if result.read_with:
        facts["read_with"] = {str(blocks): to_json(found)["final"] for blocks, found in result.read_with.items()}
    write_json(folder / f"{stem}.json", facts)
    path = folder / f"{stem}.jsonl"
    write_jsonl(result.predictions, path)
    return path
