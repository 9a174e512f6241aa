"""Measure latency, throughput and memory of answering.

With --config, methods are measured side by side on one model; key=value is then a
setting of the benchmark, rounds=3, or of all entries, backbone.scratch.layers=4.
With --run, the stopping rules of rim.evaluate --adaptive are timed on a finished
run: accuracy, blocks and milliseconds; key=value as for rim.evaluate.

Example:
  python -m rim.bench --config conf/bench/laptop.yaml 'batch_sizes=[1,8]'
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from rim.benchmark.settings import Benchmark, load_benchmark
from rim.evaluate import named_tests
from rim.settings.commandline import CommandLine, UsageError, parse, user_errors

QUESTIONS, ROUNDS = 16, 5


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--run", metavar="DIR", help="run folder, such as runs/demo")
    parser.add_argument("--test", nargs="+", metavar="SOURCE", help="with --run: test sets; default: the run's own")
    parser.add_argument("--weights", metavar="NAME", help="with --run: a file of DIR/weights")
    parser.add_argument("--questions", type=int, metavar="N", help=f"with --run: questions; default: {QUESTIONS}")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"with --run: timed rounds; default: {ROUNDS}")


@user_errors()
def main(argv: list[str] | None = None) -> int:
    """Read the settings (light), then do the work (heavy imports)."""
    line = parse("bench", __doc__, argv, _options, settings=Benchmark)
    _check(line)
    return _of_run(line) if line.options.run is not None else _of_config(line)


def _check(line: CommandLine) -> None:
    """Refuse options that do not belong together.

    Raises:
        UsageError: neither a file nor a run is named, or both, or an option without its run, or no positive number.
    """
    options = vars(line.options)
    if options["run"] is None:
        if not line.files:
            raise UsageError(
                "nothing to measure: name a file of entries, --config conf/bench/laptop.yaml, or a finished run, --run "
                "runs/demo"
            )
        for name in (name for name, value in options.items() if value is not None):
            hint = f"; with --config it is a setting, {name}=…" if name in ("questions", "rounds") else ""
            raise UsageError(f"--{name} belongs to --run{hint}")
    elif line.files:
        raise UsageError(f"--config {line.files[0]} and --run {options['run']}: name one; a run has its own settings")
    for name in ("questions", "rounds"):
        if options[name] is not None and options[name] < 1:
            raise UsageError(f"--{name} {options[name]}: must be at least 1")


def _of_config(line: CommandLine) -> int:
    bench = load_benchmark(line.files, line.overrides)

    from rim.benchmark.conduct import conduct

    return conduct(bench)


def _of_run(line: CommandLine) -> int:
    options = line.options
    overrides, sources = named_tests(line)

    from rim.benchmark.early import bench_run

    numbers = (options.questions or QUESTIONS, options.rounds or ROUNDS)
    return bench_run(Path(options.run), overrides, sources, options.weights, *numbers)


if __name__ == "__main__":
    sys.exit(main())
