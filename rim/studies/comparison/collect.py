"""From run folders to records: what a finished run has answered, what it cost, and what it ran on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rim.evaluation.controls import newest
from rim.evaluation.predictions import Prediction, read_jsonl
from rim.runs.folder import RunFolder
from rim.settings import Config
from rim.studies.comparison.sameness import ComparisonError


@dataclass(frozen=True)
class Answers:
    """One test set: the predictions of a run, and the scores that it has written beside them."""

    predictions: tuple[Prediction, ...]
    scores: dict[str, Any]

    @property
    def controls(self) -> dict[str, float]:
        return {name: score["final"]["accuracy"] for name, score in self.scores["controls"].items()}

    @property
    def any_block(self) -> float | None:
        """Share right after at least one block; None: there is one answer, hence nothing to choose from."""
        share: float | None = self.scores["any_block_oracle"]["accuracy"]
        return share if len(self.scores["by_block"]) > 1 else None


@dataclass(frozen=True)
class FinishedRun:
    """A run as one member of an entry: one seed, under one budget."""

    budget: str
    entry: str
    folder: Path
    config: Config
    training: dict[str, Any]
    environment: dict[str, Any]
    tests: dict[str, Answers]
    latency: dict[str, Any] = field(default_factory=dict)
    """Empty: not measured."""

    @property
    def seed(self) -> int:
        return self.config.run.seed

    @property
    def edit(self) -> int | None:
        """Oldest version of the edit of blocks that a test set was answered under; None: no control edited them."""
        edited = [answers.scores for answers in self.tests.values() if answers.controls.keys() - {"removed"}]
        cue = self.config.method.answer_cue
        return min((newest(scores.get("controls_version", 1), cue) for scores in edited), default=None)


def collect(folder: Path, budget: str, entry: str) -> FinishedRun:
    """Read a finished run.

    Raises:
        RunError: this is no run folder.
        ComparisonError: the run is not finished, or its results are not those that it has concluded with.
    """
    run = RunFolder(folder)
    config = run.config_as_saved()
    result = run.read("result.json")
    if result is None:
        raise ComparisonError(
            f"{folder} is not finished: it has no result.json. Repeat the command that began it, and compare then"
        )
    tests = {source: _answers(run, source, accuracy) for source, accuracy in result["accuracy"].items()}
    return FinishedRun(budget, entry, folder, config, result["training"], run.read("environment.json") or {}, tests)


def read_answers(results: Path, source: str) -> Answers | None:
    """What a folder of results has of a test set; None where one of its two files is missing."""
    stem = source.replace("/", "-")
    scores, lines = RunFolder(results).read(f"{stem}.json"), results / f"{stem}.jsonl"
    return None if scores is None or not lines.exists() else Answers(tuple(read_jsonl(lines)), scores)


def _answers(run: RunFolder, source: str, accuracy: float) -> Answers:
    stem = f"results/{source.replace('/', '-')}"
    found = read_answers(run.path / "results", source)
    if found is None:
        raise ComparisonError(
            f"{run.path} lacks {stem}.json or .jsonl: score it again with rim.evaluate --run {run.path} --test {source}"
        )
    if found.scores["final"]["accuracy"] != accuracy:
        raise ComparisonError(
            f"{run.path / stem}.json has accuracy {found.scores['final']['accuracy']}, and the run has concluded with "
            f"{accuracy}: another evaluation was written over it. Bring the run's own back: rim.evaluate --run "
            f"{run.path} --test {source}"
        )
    return found


def by_entry(runs: Sequence[FinishedRun]) -> dict[tuple[str, str], list[FinishedRun]]:
    """(budget, entry) → its runs, in their order."""
    groups: dict[tuple[str, str], list[FinishedRun]] = {}
    for run in runs:
        groups.setdefault((run.budget, run.entry), []).append(run)
    return groups


def latency_run(runs: Sequence[FinishedRun]) -> FinishedRun:
    """The run of an entry whose latency stands for it: that of the first seed."""
    return min(runs, key=lambda run: run.seed)
