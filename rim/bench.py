"""python -m rim.bench --config conf/bench/laptop.yaml [key=value …]

Measure what answering costs, method by method on one model: time to the first token and to the full answer, answers per
second at several batch sizes, memory, passes, positions and operations; beside them the time that reading the weights
takes at least. Entries take turns in every round, so that drift of the machine cancels in ratios.

The model has random weights of a shape, or comes from a hub name; the lengths of chains and answers are the data's own.
Overrides are settings of the benchmark: rounds=3 'batch_sizes=[1,8]' 'decode=[plain,graph]' root=FOLDER name=mine.
"""

import sys

from rim.benchmark.settings import Benchmark, load_benchmark
from rim.commandline import UsageError, parse, user_errors


@user_errors()
def main(argv: list[str] | None = None) -> int:
    """Read the settings (light), then do the work (heavy imports)."""
    line = parse("bench", __doc__, argv, settings=Benchmark)
    if not line.files:
        raise UsageError("nothing to measure: name a file of entries, --config conf/bench/laptop.yaml")
    bench = load_benchmark(line.files, line.overrides)

    from rim.benchmark.conduct import conduct

    return conduct(bench)


if __name__ == "__main__":
    sys.exit(main())
