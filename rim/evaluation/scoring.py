"""Score a model on its test sets with all controls, and write what was found."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rim.base.files import write_json
from rim.data import answers
from rim.data.encode import EncodedSplit
from rim.data.joined import Split
from rim.evaluation.controls import VERSION
from rim.evaluation.metrics import Score, score
from rim.evaluation.predictions import Prediction, marked, write_jsonl
from rim.evaluation.report import accuracy_report, to_json
from rim.settings import Evaluation


@dataclass(frozen=True)
class TestResult:
    """One test set: predictions, score, and the scores under each control, number of blocks and further rule.

    `rule` is the task's own, by which everything but `by_rule` is marked (None: not known); `undecided` counts the
    comparisons that ended at a limit of time or memory, and count as wrong. `rows` is the sha256 of the encoded
    examples: scores of other rows do not compare.
    """

    source: str
    predictions: list[Prediction]
    score: Score
    controls: dict[str, Score]
    read_with: dict[int, Score] = field(default_factory=dict)
    rule: str | None = None
    by_rule: dict[str, Score] = field(default_factory=dict)
    undecided: int = 0
    rows: str = ""

    def report(self, confidence: float) -> str:
        return accuracy_report(
            self.source, self.score, self.controls, confidence, self.read_with, self.rule, self.by_rule
        )


class Scorer(Protocol):
    """Answers and grades a test set with a model, as `Evaluator` does with a backbone."""

    def run(
        self, model: Any, split: Split, batch_size: int, /, *, control: str | None = None, blocks: int | None = None
    ) -> list[Prediction]: ...

    def controls(self, split: Split, /) -> tuple[str, ...]: ...


def score_source(scorer: Scorer, model: Any, source: str, split: EncodedSplit, settings: Evaluation) -> TestResult:
    """Answer a test set as it is, once more under every control that applies, and with each other number of blocks.

    The answers as they are are also marked by each further rule that can read the right ones.
    """

    def scored(control: str | None = None, blocks: int | None = None) -> Score:
        return score(scorer.run(model, split, settings.batch_size, control=control, blocks=blocks))

    before, own = answers.undecided(), split.answer_rule
    predictions = scorer.run(model, split, settings.batch_size)
    controls = [name for name in settings.controls if name in scorer.controls(split)]
    return TestResult(
        source,
        predictions,
        score(predictions),
        controls={name: scored(control=name) for name in controls},
        read_with={blocks: scored(blocks=blocks) for blocks in sorted(settings.blocks)},
        rule=own,
        by_rule={rule: score(marked(row, rule) for row in predictions) for rule in _further(settings.rules, own)},
        undecided=answers.undecided() - before,
        rows=split.report.encoded,
    )


def write_result(result: TestResult, folder: Path, about: dict[str, Any]) -> Path:
    """`<source>.json` with the score and `<source>.jsonl` with the predictions; returns the latter's path.

    Args:
        about: what was scored: weights, update, blocks.
    """
    stem = result.source.replace("/", "-")
    facts = {**about, "source": result.source, "rows": result.rows, **to_json(result.score)}
    facts["controls"] = {name: to_json(control) for name, control in result.controls.items()}
    facts["controls_version"] = VERSION
    facts |= _rules(result)
    if result.read_with:
        facts["read_with"] = {str(blocks): to_json(found)["final"] for blocks, found in result.read_with.items()}
    write_json(folder / f"{stem}.json", facts)
    path = folder / f"{stem}.jsonl"
    write_jsonl(result.predictions, path)
    return path


def rule_facts(name: str) -> dict[str, str]:
    """An answer rule as files of results name it: scores by another rule or version do not compare."""
    return {"name": name, "version": answers.RULES[name].version}


def _further(rules: Sequence[str], own: str) -> list[str]:
    """Those that can read the right answers of a task whose own rule is another."""
    return [rule for rule in rules if rule != own and answers.reads(rule, own)]


def _rules(result: TestResult) -> dict[str, Any]:
    """By which rules the answers were marked, in which versions, and what the further ones count."""
    facts: dict[str, Any] = {}
    if result.rule is not None:
        facts["rule"] = rule_facts(result.rule)
    if result.by_rule:
        facts["rules"] = {
            rule: {"version": answers.RULES[rule].version, **to_json(found)["final"]}
            for rule, found in result.by_rule.items()
        }
    if result.undecided:
        facts["undecided"] = result.undecided
    return facts
