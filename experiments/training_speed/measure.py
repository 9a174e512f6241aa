"""Speed as ratios: training steps, decoding, loading. See README.md beside this file; `make bench` runs it."""

import os
import sys
import tempfile
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from loading import waiting
from pairs import WARM_UP, Pairs
from steps import Bench, Size, all_readouts_against_last, grounding_against_chain, packed_against_separate

from rim.base.files import write_json
from rim.report.tables import table
from rim.runs.environment import describe, usable_cores, use_threads

PRESETS = {
    "small": Size(layers=4, width=128, vocabulary=8_000, batch=16, pairs=9),
    "laptop": Size(layers=8, width=256, vocabulary=16_000, batch=16, pairs=9),
}
HEADER = ("what", "A", "B", "A / B (p10 to p90)", "tokens A / B", "bar", "met")
SEED = 0


def measure(size: Size) -> list[Pairs]:
    """All comparisons, one after the other, each in turn with its opposite."""
    bench = Bench(size, SEED)
    found = [packed_against_separate(bench), *grounding_against_chain(bench), all_readouts_against_last(bench)]
    with tempfile.TemporaryDirectory() as cache:
        return [*found, *waiting(Path(cache), SEED, updates=2 * size.pairs)]


def main() -> None:
    """Measure, print one table, and write results.json; a missed bar is a finding, not a failure."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=usable_cores(), help="CPU threads; default: usable cores")
    parser.add_argument("--preset", choices=PRESETS, default="small")
    options = parser.parse_args()
    threads, size = use_threads(options.threads), PRESETS[options.preset]
    load, start = [round(part, 2) for part in os.getloadavg()], time.perf_counter()
    print(f"preset {options.preset}: {size}; {threads} CPU threads; load average {load[0]} of other work at start")
    found = measure(size)
    seconds = round(time.perf_counter() - start)
    print(f"\n{table([pairs.row() for pairs in found], HEADER)}\n")
    print(f"Medians of pairs timed in turn after {WARM_UP} rounds of warm-up; {seconds} s in all.")
    for pairs in found:
        if pairs.met is False:
            print(f"BAR MISSED: {pairs.what}: {' '.join(pairs.row()[3:6])}")
    setting = {"preset": options.preset, **vars(size), "threads": threads, "warm_up": WARM_UP, "seed": SEED}
    facts: dict[str, Any] = {"command": " ".join(["python experiments/training_speed/measure.py", *sys.argv[1:]])}
    facts |= {**describe(), "load_average_at_start": load, "setting": setting, "seconds": seconds}
    write_json(Path(__file__).with_name("results.json"), {**facts, "results": [pairs.facts() for pairs in found]})


if __name__ == "__main__":
    main()
