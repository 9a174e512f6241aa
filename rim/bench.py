"""Measure latency, throughput and memory of answering.

The methods of a settings file are measured side by side on one model. key=value
is a setting of the benchmark, rounds=3, or of all entries, memory.blocks=4.

Example:
  python -m rim.bench --config conf/bench/laptop.yaml 'batch_sizes=[1,8]'
"""

import sys

from rim.settings.commandline import UsageError, parse, user_errors
from rim.studies.benchmark.settings import Benchmark, load_benchmark


@user_errors()
def main(argv: list[str] | None = None) -> int:
    """Read the settings (light), then do the work (heavy imports)."""
    line = parse("bench", __doc__, argv, settings=Benchmark)
    if not line.files:
        raise UsageError("nothing to measure: name a file of entries, --config conf/bench/laptop.yaml")
    bench = load_benchmark(line.files, line.overrides)

    from rim.studies.benchmark.conduct import conduct

    return conduct(bench)


if __name__ == "__main__":
    sys.exit(main())
