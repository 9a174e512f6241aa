"""python -m rim.bench --config conf/bench/laptop.yaml [key=value …]
python -m rim.bench --run runs/NAME [--test task/split …] [--weights NAME] [--questions N] [--rounds N] [key=value …]

Measure what answering costs, method by method on one model: time to the first token and to the full answer, answers per
second at several batch sizes, memory, passes, positions and operations; beside them the time that reading the weights
takes at least. Entries take turns in every round, so that drift of the machine cancels in ratios.

The model has random weights of a shape, or comes from a hub name; the lengths of chains and answers are the data's own.
Overrides are settings of the benchmark, rounds=3 'batch_sizes=[1,8]' 'decode=[plain,graph]' root=FOLDER name=mine, or
of all its entries, backbone.scratch.layers=4.

With --run: what reading a finished run's answers early saves. Each stopping rule of rim.evaluate --adaptive, with its
accuracy, its blocks and its milliseconds; overrides are those of rim.evaluate.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from rim.benchmark.settings import Benchmark, load_benchmark
from rim.commandline import CommandLine, UsageError, parse, user_errors
from rim.evaluate import named_tests

QUESTIONS, ROUNDS = 16, 5


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--run", metavar="DIR", help="run folder whose stopping rules are timed, such as runs/demo")
    parser.add_argument("--test", nargs="+", metavar="SOURCE", help="with --run: test sets; default: the run's own")
    parser.add_argument("--weights", metavar="NAME", help="with --run: a file of DIR/weights; default: the final pick")
    parser.add_argument(
        "--questions", type=int, metavar="N", help=f"with --run: as many are timed; default: {QUESTIONS}"
    )
    parser.add_argument(
        "--rounds", type=int, metavar="N", help=f"with --run: after those to warm up; default: {ROUNDS}"
    )


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
