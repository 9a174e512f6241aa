"""Train over a space of settings, and report what each setting does.

What is done is skipped, what was interrupted resumes; the same command, started
again on this or another machine, helps along. The axes stand in the file:
  space: {memory.blocks: [1, 2], stages.*.learning_rate: {low: 1e-5, high: 1e-3}}
key=value is a setting of the sweep, space.memory.blocks=null, or of all its runs.

Example:
  python -m rim.sweep --config conf/sweeps/smoke.yaml training.batch_size=32
"""

import sys
from argparse import ArgumentParser

from rim.settings.commandline import CommandLine, UsageError, parse, user_errors
from rim.studies.sweeps.settings import Sweep, load_sweep


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--jobs", type=int, metavar="N", help="trials side by side in this command")
    parser.add_argument("--dry-run", action="store_true", help="print the trials and an estimate of the time")
    parser.add_argument("--report", action="store_true", help="write tables and figures of what is done")


@user_errors()
def main(argv: list[str] | None = None) -> int:
    """Read and check the settings of all points (light), then do the work (heavy imports)."""
    line = parse("sweep", __doc__, argv, _options, settings=Sweep)
    _check(line)
    jobs = [] if line.options.jobs is None else [f"jobs={line.options.jobs}"]
    sweep = load_sweep(line.files, [*line.overrides, *jobs])

    from rim.studies.sweeps.space import check_points, make_parts

    parts = make_parts(sweep)
    check_points(parts)

    from rim.studies.sweeps import conduct

    if line.options.dry_run:
        return conduct.plan(parts)
    return conduct.report(parts) if line.options.report else conduct.sweep(parts)


def _check(line: CommandLine) -> None:
    """Refuse a command line without a space, or with two ends.

    Raises:
        UsageError: neither a file nor an axis is named, or both --dry-run and --report.
    """
    if not line.files and not any(text.startswith("space") for text in line.overrides):
        raise UsageError("nothing to sweep: name a file of what to train, --config conf/sweeps/smoke.yaml")
    if line.options.dry_run and line.options.report:
        raise UsageError("--dry-run and --report: one looks ahead, the other back; name one")


if __name__ == "__main__":
    sys.exit(main())
