"""What reading a run early saves in time: its stopping rules, each with the milliseconds that its stops take.

The rules and their accuracy are those of `rim.evaluate --adaptive`. What an answer after k blocks costs is measured on
some of the test questions (`stops.py`), and a rule's time is the mean of these costs over the blocks at which the
examples stop, all of them.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rim.backbone.observer import layer_at
from rim.benchmark.publish import origin_here
from rim.benchmark.settings import one_by_one_problem
from rim.benchmark.stops import Subject, every_rule, measure_stops
from rim.benchmark.summary import AT_ONCE, Stop, Stops, stops_json
from rim.benchmark.tables import stops_table
from rim.benchmark.workload import BenchmarkError
from rim.evaluation.early.adaptive import Adaptive
from rim.evaluation.early.adaptive_report import adaptive_json, rules_table, write_adaptive
from rim.evaluation.early.adaptive_run import AdaptiveRun, open_adaptive
from rim.evaluation.finished import settings_of
from rim.evaluation.latency import evenly
from rim.runs.environment import describe
from rim.runs.folder import RunFolder

WARMUP = 1
"""Rounds before those that count."""


def bench_run(
    path: Path, overrides: Sequence[str], sources: Sequence[str], weights: str | None, questions: int, rounds: int
) -> int:
    """Time a run's stopping rules on each test set, write `results/<source>-early.json` and `.png`, print the tables.

    Args:
        path: the run folder.
        overrides: of settings that do not change the weights.
        sources: test sources; none: the run's own.
        weights: name of the weights; None: the final pick.
        questions: of each test set that are timed, at even distances.
        rounds: times that each of them is answered in every way.

    Raises:
        UserError: a run whose blocks cannot be read one by one, or that cannot be read at all.
    """
    folder = RunFolder(path)
    config = settings_of(folder, overrides, sources)
    problem = one_by_one_problem(config)
    if problem:
        raise BenchmarkError(problem)
    run = open_adaptive(folder, config, weights)
    for result in run.results():
        _publish(run, result, _stops(run, result.source, questions, rounds), folder.path / "results", rounds)
    return 0


def _stops(run: AdaptiveRun, source: str, questions: int, rounds: int) -> Stops:
    split, evaluator = run.tests[source], run.evaluator

    def text(tokens: Sequence[int]) -> str:
        [written] = run.backbone.tokenizer.batch_decode([[*tokens]], skip_special_tokens=True)
        return evaluator.method.answer_in(written)

    subject = Subject(
        backbone=run.backbone,
        method=evaluator.method,
        examples=[split[row] for row in evenly(len(split), questions)],
        blocks=run.config.memory.blocks,
        layer=layer_at(run.backbone, run.config.evaluation.probe_layer),
        max_new_tokens=lambda _: evaluator.max_new_tokens(),
    )
    rules = every_rule(run.backbone.width, text)
    return measure_stops(subject, rules, rounds, WARMUP, lambda line: print(line, file=sys.stderr, flush=True))


def _publish(run: AdaptiveRun, result: Adaptive, stops: Stops, folder: Path, rounds: int) -> None:
    facts, described = timed(adaptive_json(result, run.config.evaluation.confidence), stops), describe()
    about = {**run.about(result.source), "rounds": rounds, "times": stops_json(stops), "environment": described}
    files = write_adaptive({**about, **facts}, folder, "early")
    print(f"## {result.source}: what reading early saves\n")
    print(f"{rules_table(result, run.config.evaluation.confidence, milliseconds(facts))}\n")
    print(f"Milliseconds of a full answer after k blocks, median (10th to 90th percentile of {rounds} rounds)\n")
    print(f"{stops_table(stops)}\n\n{origin_here(described, run.config.run.seed)} Weights: {run.facts['name']}.\n")
    print(*(f"wrote {file}" for file in files), "", sep="\n")


def timed(facts: Mapping[str, Any], stops: Stops) -> dict[str, Any]:
    """`adaptive_json` with `ms` in every point: always block k reads k blocks at once, all others one by one.

    The oracle costs what the cheapest look does, one at the first token.
    """
    fixed = [{**point, "ms": stops[Stop(AT_ONCE, point["blocks"])].median} for point in facts["fixed"]]
    rules = {
        name: {**rule, "points": [{**point, "ms": _mean(point, name, stops)} for point in rule["points"]]}
        for name, rule in facts["rules"].items()
    }
    oracle = {**facts["oracle"], "ms": _mean(facts["oracle"], "confidence", stops)}
    return {**facts, "fixed": fixed, "rules": rules, "oracle": oracle}


def milliseconds(facts: Mapping[str, Any]) -> list[float]:
    """Of timed facts, in the order of `rules_table`."""
    chosen = [rule["points"][rule["chosen"]] for rule in facts["rules"].values()]
    return [point["ms"] for point in (*facts["fixed"], *chosen, facts["oracle"])]


def _mean(point: Mapping[str, Any], way: str, stops: Stops) -> float:
    """Over all examples, each at the block at which it stops."""
    total = sum(count * stops[Stop(way, block)].median for block, count in enumerate(point["stops"], 1))
    return total / sum(point["stops"])
