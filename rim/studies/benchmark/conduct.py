"""A benchmark from its settings to its tables."""

import sys
from functools import partial

from rim.runs.environment import use_threads
from rim.studies.benchmark.bound import bound_of
from rim.studies.benchmark.measure import measure
from rim.studies.benchmark.publish import load_average, publish
from rim.studies.benchmark.settings import Benchmark
from rim.studies.benchmark.summary import summarise
from rim.studies.benchmark.workload import build, device_of


def conduct(bench: Benchmark) -> int:
    """Measure, print, write. A missed bar is a finding: the status is 0.

    Raises:
        UserError: data, model or a way of decoding that cannot be had.
    """
    use_threads(bench.threads)
    load, device = load_average(), device_of(bench)
    jobs = build(bench)
    before = bound_of(jobs[0].backbone, bench.bandwidth)
    measured = measure(bench, jobs, partial(print, file=sys.stderr, flush=True))
    after = bound_of(jobs[0].backbone, bench.bandwidth)
    bound = max(before, after, key=lambda each: each.bandwidth)  # other work on the machine takes its share
    summary = summarise(bench, measured, bound, device.type)
    print(publish(summary, measured, load, " ".join(["python -m rim.bench", *sys.argv[1:]])))
    return 0
