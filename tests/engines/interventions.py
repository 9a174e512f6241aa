"""One intervention on the blocks of an export, by nnsight and by our own hooks."""

import json
from itertools import permutations
from pathlib import Path

from rim.backbone.decode import greedy
from rim.backbone.observer import Observer
from rim.backbone.patching import patched
from rim.data.prepare import prepare_tests
from rim.data.registry import parse_source
from rim.evaluation.finished import settings_of
from rim.runs.folder import RunFolder
from rim.studies.analysis.models import Models
from rim.studies.analysis.pairs import Pair
from rim.studies.analysis.patch import sites
from rim.studies.analysis.subject import Subject
from tests.engines.environments import NNSIGHT, called
from tests.engines.exports import Exported

SCRIPT = Path(__file__).parents[2] / "experiments" / "lens_nnsight" / "patch.py"
PAIRS, CLOSE = 3, 2e-6
"""Pairs that are tried, and how far probabilities may be apart. These models are barely trained: another question's
blocks move the first token's probability by 1e-5 or so, and both ways of patching agree to 1e-6."""


def nnsight(export: Exported) -> tuple[str, bool]:
    """Questions of the same length whose answers differ; all blocks, at the input of every layer."""
    folder = RunFolder(export.run)
    config = settings_of(folder, (), None)
    backbone, about = folder.load_backbone()
    tests = prepare_tests(config.data, backbone.tokenizer)
    [(source, split)] = tests.items()
    asked, _ = Models(folder, config, parse_source(source, config.data).task, [split], ()).of(backbone, about)
    examples = [split[row] for row in range(len(split))]
    alike = (pair for pair in permutations(examples, 2) if len(pair[0].question) == len(pair[1].question))
    pairs = [Pair(*pair) for pair in alike if pair[0].gold != pair[1].gold][:: len(examples)][:PAIRS]
    same, changed, count = 0, 0, 0
    for pair in pairs:
        for layer in asked.layers:
            words = [str(export.folder), pair.receiver.text, pair.donor.text, str(layer)]
            theirs = json.loads(called([NNSIGHT.ready(), str(SCRIPT), *words]).splitlines()[-1])
            (text, probability), (_, before) = theirs["patched"], theirs["receiver"]
            ours, observed = _ours(asked, pair, layer)
            same += text == ours and abs(probability - observed) < CLOSE
            changed += abs(probability - before) > 2 * CLOSE
            count += 1
    found = f"{same} of {count} patches of all blocks give our answer and probability, {changed} change the probability"
    return found, same == count and changed > 0


def _ours(asked: Subject, pair: Pair, layer: int) -> tuple[str, float]:
    """The answer to the receiver with the donor's blocks, and the probability of its first token."""
    prompts, observer = asked.prompts([pair.receiver]), Observer()
    donated = asked.trace(asked.prompts([pair.donor]))
    place_BP = dict(sites(asked, [pair], prompts))["all blocks"]
    read = patched([donated.patch("state", layer, place_BP)])
    [[tokens]] = greedy(asked.backbone, prompts, 16, read=read, observe=observer)
    return asked.evaluator.tokenizer.decode(tokens, skip_special_tokens=True).strip(), float(observer.probability_BK)
