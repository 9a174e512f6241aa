"""Speed and memory of training, this checkout against a commit before. See README.md; `make bench` runs it."""

import json
import os
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pairs import Pairs
from sections import ROOT, Finding, Sections, Size
from steps import Bench, all_readouts_against_last, grounding_against_chain, packed_against_separate
from steps import Size as BenchSize

from rim.base.files import write_json
from rim.base.quiet import quiet_libraries
from rim.report.tables import table
from rim.runs.environment import describe, use_threads

BEFORE = "82953df"
"""The commit before lines, memory rows of our own and logits in chunks."""
PRESETS = {
    "quick": (Size((1, 64, 3_000), (1, 64, 3_000), 200, 8, 1, 2, 64), BenchSize(1, 32, 400, batch=2, pairs=1)),
    "full": (
        Size((3, 768, 12_564), (12, 768, 50_257), 3_000, 64, 3, 20, 768),
        BenchSize(4, 128, 8_000, batch=16, pairs=9),
    ),
}
SECTIONS = ("shares", "speed", "bench", "saved", "host", "regimes")
HEADERS = {
    Pairs: ("what", "A", "B", "A / B (p10 to p90)", "tokens A / B", "bar", "met"),
    Finding: ("what", "before", "after", "unit", "bar", "met"),
}
SEED = 0


@contextmanager
def checkout(of: str) -> Iterator[Path]:
    """A folder with the files of a commit, for as long as it is entered; a folder is given as it is."""
    if Path(of).is_dir():
        yield Path(of).resolve()
        return
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(["git", "archive", of], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=packed, check=True)
        yield Path(folder)


def bench(size: BenchSize) -> Iterator[Pairs]:
    """Random examples of one length: without padding on either side."""
    made = Bench(size, SEED)
    yield packed_against_separate(made)
    yield from grounding_against_chain(made)
    yield all_readouts_against_last(made)


def measure(options: Namespace) -> dict[str, list[Any]]:
    """The findings of every section: one by one to the error output, then as a table."""
    size, small = PRESETS[options.preset]
    found: dict[str, list[Any]] = {}
    with checkout(options.before) as before, tempfile.TemporaryDirectory() as work, ExitStack() as stack:
        sections = Sections(size, before, options.data, Path(work))
        stack.callback(sections.close)
        for name in options.sections:
            found[name] = []
            for each in bench(small) if name == "bench" else getattr(sections, name)():
                found[name].append(each)
                print("  ".join(each.row()), file=sys.stderr, flush=True)
            header = HEADERS[type(found[name][0])]
            print(f"\n## {name}\n\n{table([each.row() for each in found[name]], header)}", flush=True)
    return found


def main() -> None:
    """Measure, print tables, and put the sections into results.json; a missed bar is a finding, not a failure."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=PRESETS, default="full")
    parser.add_argument("--before", default=BEFORE, help="commit or folder to compare with")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RIM_DATA", ROOT.parent / "shared" / "data")))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results.json"))
    options = parser.parse_args()
    quiet_libraries()
    threads = use_threads(1)
    load, start = [round(part, 2) for part in os.getloadavg()], time.perf_counter()
    print(f"preset {options.preset}, {threads} CPU thread; load average {load[0]} of other work at start")
    found = measure(options)
    seconds = round(time.perf_counter() - start)
    missed = [each.what for section in found.values() for each in section if each.met is False]
    print(f"\n{seconds} s in all; bars missed: {', '.join(missed) or 'none'}")
    setting = {"preset": options.preset, "before": options.before, "threads": threads, "seed": SEED}
    facts: dict[str, Any] = {"command": " ".join(["python experiments/training_speed/measure.py", *sys.argv[1:]])}
    facts |= {**describe(), "load_average_at_start": load, "setting": setting, "seconds": seconds}
    record = json.loads(options.out.read_text(encoding="utf-8")) if options.out.is_file() else {}
    measured = {name: {**facts, "findings": [_facts(each) for each in rows]} for name, rows in found.items()}
    write_json(options.out, {**record, **measured})


def _facts(found: Pairs | Finding) -> dict[str, Any]:
    return found.facts() if isinstance(found, Pairs) else {**vars(found), "met": found.met}


if __name__ == "__main__":
    main()
