"""Whether an answer can be read early: stopping rules with their accuracy, and the milliseconds that their stops take.

Every rule is worked out on readouts of all blocks (`stopping.py`). What an answer after k blocks costs is measured on
some of the test questions (`stops.py`), and a rule's time is the mean of these costs over the blocks at which the
examples stop, all of them. Of a shape (`--config` with `--entry`) the costs alone are measured.
"""

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from figure import adaptive_figure
from stopping import rules_json
from stops import AT_ONCE, Stop, Stops, Subject, every_rule, measure_stops, stops_json, stops_table, subject_of

from rim.backbone.observer import layer_at
from rim.base.errors import UserError
from rim.base.files import write_json
from rim.evaluation.early.adaptive import judged
from rim.evaluation.early.adaptive_report import adaptive_json
from rim.evaluation.early.adaptive_run import AdaptiveRun, open_adaptive
from rim.evaluation.early.probe import fit_probe
from rim.evaluation.finished import settings_of
from rim.evaluation.latency import evenly
from rim.report.publish import write_figure
from rim.report.tables import NOTHING, table
from rim.runs.environment import describe, use_threads
from rim.runs.folder import RunFolder
from rim.studies.benchmark.publish import origin_here
from rim.studies.benchmark.settings import load_benchmark
from rim.studies.benchmark.workload import build

WARMUP = 1
"""Rounds before those that count."""


def main(argv: Sequence[str] | None = None) -> int:
    """Time a run, or an entry of a benchmark, on one thread as its settings say."""
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--run", type=Path, help="run folder of memory_blocks")
    what.add_argument("--config", help="file of a benchmark, such as conf/bench/gpt2.yaml")
    parser.add_argument("--entry", default="rim", help="with --config: the entry that is read")
    parser.add_argument("--test", nargs="+", metavar="SOURCE", help="with --run: test sets; default: the run's own")
    parser.add_argument("--weights", help="with --run: a file of RUN/weights; default: the final pick")
    parser.add_argument("--questions", type=int, default=16, help="with --run: questions that are timed")
    parser.add_argument("--rounds", type=int, default=5, help="with --run: rounds that count; 0: no times")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    options = parser.parse_args(argv)
    return of_shape(options) if options.run is None else of_run(options)


def of_shape(options: Namespace) -> int:
    """Print what an answer of an entry after k blocks costs; its benchmark says how often it is asked."""
    bench = load_benchmark([options.config], options.overrides)
    use_threads(bench.threads)
    bench.entries = [entry for entry in bench.entries if entry.name == options.entry]
    check(bench.config(bench.entries[0]))
    [job] = build(bench)
    rules = every_rule(job.backbone.width, str)
    stops = measure_stops(subject_of(job, bench.questions), rules, bench.rounds, bench.warmup, _say)
    print(f"Full answer of {job.name} after k blocks, read at once and one by one (ms)\n\n{stops_table(stops)}")
    return 0


def of_run(options: Namespace) -> int:
    """Write `results/<source>-early.json` and `.png` of each test set, and print the tables."""
    folder = RunFolder(options.run)
    config = settings_of(folder, options.overrides, options.test)
    check(config)
    run, confidence = open_adaptive(folder, config, options.weights), config.evaluation.confidence
    fitting = run.read(run.validation)
    probe = fit_probe(fitting.state_EKD, fitting.correct_EK)
    for source, split in run.tests.items():
        test = run.read(split)
        found = adaptive_json(judged(source, fitting, probe, test, confidence), confidence)
        rules = rules_json(fitting, probe, test.without({*fitting.ids}), confidence)
        facts = {**run.about(source), **found, **rules}
        stops = _stops(run, source, options.questions, options.rounds) if options.rounds else {}
        _publish(run, timed(facts, stops) if stops else facts, stops, folder.path / "results", options.rounds)
    return 0


def check(config: Any) -> None:
    """Refuse what cannot be read one by one.

    Raises:
        UserError: names the setting.
    """
    if config.method.name != "memory_blocks":
        raise UserError(
            f"method.name = {config.method.name}: only blocks that are read in one pass can be read one by one, a pass "
            "each; use memory_blocks"
        )
    if config.memory.blocks < 2:
        raise UserError(
            f"memory.blocks = {config.memory.blocks}: there is nothing to stop before; use 2 blocks or more"
        )


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
    return measure_stops(subject, every_rule(run.backbone.width, text), rounds, WARMUP, _say)


def _publish(run: AdaptiveRun, facts: dict[str, Any], stops: Stops, folder: Path, rounds: int) -> None:
    described = describe()
    stem = folder / f"{facts['source'].replace('/', '-')}-early"
    write_json(stem.with_suffix(".json"), {**facts, "times": stops_json(stops), "environment": described})
    write_figure(adaptive_figure(facts), stem.with_suffix(".png"))
    print(f"## {facts['source']}: what reading early saves\n\n{rules_table(facts)}\n")
    if stops:
        print(f"Milliseconds of a full answer after k blocks, median (10th to 90th percentile of {rounds} rounds)\n")
        print(f"{stops_table(stops)}\n")
    print(f"{origin_here(described, run.config.run.seed)} Weights: {run.facts['name']}. {stem}.json and .png\n")


def rules_table(facts: Mapping[str, Any]) -> str:
    """Blocks, accuracy and milliseconds of fixed numbers of blocks, of each rule as it was chosen, of the oracle."""
    named = [(f"always block {point['blocks']}", point) for point in facts["fixed"]]
    named += [(name, rule["points"][rule["chosen"]]) for name, rule in facts["rules"].items()]
    named.append(("first right block (oracle)", facts["oracle"]))
    rows = [(name, f"{each['blocks']:.2f}", f"{each['accuracy']:.3f}", _ms(each)) for name, each in named]
    return table(rows, ("stopping rule", "mean blocks", "accuracy", "full answer (ms)"))


def _ms(point: Mapping[str, Any]) -> str:
    return f"{point['ms']:.2f}" if "ms" in point else NOTHING


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


def _mean(point: Mapping[str, Any], way: str, stops: Stops) -> float:
    """Over all examples, each at the block at which it stops."""
    total = sum(count * stops[Stop(way, block)].median for block, count in enumerate(point["stops"], 1))
    return total / sum(point["stops"])


def _say(text: str) -> None:
    """Progress, apart from results."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
