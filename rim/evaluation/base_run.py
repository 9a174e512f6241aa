"""Scores the untouched base model of a run on its test sets: what fine-tuning added is the difference."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

from rim.backbone.backbone import Backbone
from rim.backbone.fast import decoder
from rim.backbone.load import load_backbone
from rim.base.errors import UserError
from rim.data.encode import EncodedSplit, plain
from rim.data.example import Example
from rim.data.prepare import prepare_tests, questions, training_texts
from rim.data.sources import parse_sources
from rim.evaluation.base_prompt import BaseEvaluator, BaseModel, Way
from rim.evaluation.beside import differs, recorded
from rim.evaluation.device import scoring_device
from rim.evaluation.finished import settings_of
from rim.evaluation.lengths import Lengths
from rim.evaluation.metrics import Score
from rim.evaluation.scoring import TestResult, score_source, write_result
from rim.report.proportion import Proportion
from rim.report.tables import NOTHING, decimal, percent, table, with_bounds
from rim.runs.folder import RunFolder
from rim.settings import Config

FOLDER = "base"
"""Folder of these results in `results/` of a run."""
LEAST = Lengths(answer=32, chain=256)
"""Tokens that an untouched model may take at least: it has not learnt to be as short as the rows are."""


LENIENT = "last_number"
"""Rule that is reported beside the task's own, where it can read the right answers: an untouched model may not know the
form that the task's rule asks for."""


class BaseError(UserError):
    """A run whose base model cannot be asked."""


def evaluate_base(path: Path, overrides: Sequence[str], sources: Sequence[str] | None, shots: int) -> None:
    """Ask the base model in every way, write `results/base/<way>/`, and print a table for each test set.

    Args:
        overrides: of settings that do not change the weights.
        sources: test sources; none: the run's own.
        shots: solved examples of the training set, besides none.

    Raises:
        BaseError: the run is from scratch, or has fewer training rows with steps.
    """
    folder = RunFolder(path)
    config = settings_of(folder, overrides, sources)
    if config.backbone.source != "pretrained":
        raise BaseError(
            f"{path} has no base model: with backbone.source={config.backbone.source} its weights began at random. "
            "--base is for runs with backbone.source=pretrained"
        )
    if shots < 0:
        raise BaseError(f"--base {shots}: a number of solved examples is 0 or more")
    backbone = _untouched(folder, config)
    tests = prepare_tests(config.data, backbone.tokenizer)
    ways = _ways(config, shots)
    for source, split in tests.items():
        scored = {way: _score(folder, config, backbone, way, source, split) for way in ways}
        own = _own(folder, config, source, split)
        print(f"## {source}: {config.backbone.name}, untouched\n\n{_table(config, scored, own)}\n")


def _untouched(folder: RunFolder, config: Config) -> Backbone:
    """The pretrained weights without adapters, with the run's tokenizer."""
    plain_backbone = replace(config.backbone, training="full", start_from=None)
    tokenizer = folder.tokenizer(config, lambda: training_texts(config.data))
    backbone = load_backbone(plain_backbone, tokenizer, config.run.seed)
    return backbone.eval().to(scoring_device(config.training.accelerator))


def _ways(config: Config, shots: int) -> list[Way]:
    """Directly and with a chain, after no and after `shots` solved examples."""
    counts = (0, shots) if shots else (0,)
    return [Way(chain, _solved(config, count, chain)) for chain in (False, True) for count in counts]


def _solved(config: Config, count: int, chain: bool) -> tuple[Example, ...]:
    """Training rows drawn by the run's seed, with steps where a chain is asked for; none is a row of a test set."""
    if count == 0:
        return ()
    found = parse_sources(config.data)
    held_out = questions(found.excluded, config.data)
    rows = [row for source in found.train for row in source.read(config.data).examples if plain(row) not in held_out]
    rows = [row for row in rows if row.steps or not chain]
    if len(rows) < count:
        what = "rows with steps" if chain else "rows"
        raise BaseError(
            f"--base {count}: {config.data.train} has {len(rows)} {what} that are in no test set; ask for less"
        )
    return tuple(Random(config.run.seed).sample(rows, count))


def _score(
    folder: RunFolder, config: Config, backbone: Backbone, way: Way, source: str, split: EncodedSplit
) -> TestResult:
    """Answer a test set in one way, by the same rules as the run's own answers, and write what was found."""
    method = BaseModel(config, backbone.tokenizer, way)
    lengths = Lengths.of(method, [split]).or_longer(LEAST).as_set(config.evaluation)
    evaluator = BaseEvaluator(method, backbone.tokenizer, lengths, decoder(config.evaluation.decode))
    rules = list(dict.fromkeys((*config.evaluation.rules, LENIENT)))
    settings = replace(config.evaluation, blocks=[], controls=[], rules=rules)
    result = score_source(evaluator, backbone, source, split, settings)
    form = {"template": config.data.template, "system": config.data.system}
    asked = {"name": config.backbone.name, "way": way.name, "solved": [each.id for each in way.solved], **form}
    write_result(result, folder.path / "results" / FOLDER / way.name, asked)
    return result


def _own(folder: RunFolder, config: Config, source: str, split: EncodedSplit) -> dict[str, Proportion]:
    """The accuracy of the run itself, where it has answered the same rows and was marked by the same rule."""
    facts = recorded(folder, source)
    if facts is None or differs(folder, facts, split):
        return {}
    return {f"this run ({config.method.name})": Proportion(facts["final"]["correct"], facts["final"]["count"])}


def _table(config: Config, scored: dict[Way, TestResult], own: dict[str, Proportion]) -> str:
    """Accuracy by way, and that of the run itself."""
    shares = {f"base, {way.name}": result.score.final for way, result in scored.items()} | own
    lenient = {f"base, {way.name}": result.by_rule.get(LENIENT) for way, result in scored.items()}
    rows = [
        (name, *with_bounds(share, config.evaluation.confidence), share.count, _lenient(lenient.get(name)))
        for name, share in shares.items()
    ]
    return table(rows, ("model", "accuracy", f"{percent(config.evaluation.confidence)} interval", "examples", LENIENT))


def _lenient(score: Score | None) -> str:
    return NOTHING if score is None else decimal(score.final.value)
