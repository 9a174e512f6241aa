"""python -m rim.compare RUN [RUN …] [--out DIR] [--reference NAME]
python -m rim.compare --config conf/compare/smoke.yaml [key=value …] [--jobs N] [--dry-run]

Compare methods side by side: accuracy with intervals, paired differences on the same examples, controls, waiting
times and the cost of training, as tables (Markdown, CSV, JSON), figures and TensorBoard.

Of finished runs: those that differ in nothing but name, folder and seed are seeds of one entry.
With --config: entries x seeds x budgets are trained first, what is done is skipped, what was interrupted resumes.
Overrides are settings of the comparison, seeds=[0,1] jobs=2, or of all its runs, training.batch_size=32.
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from rim.commandline import CommandLine, UsageError, exists, parse, user_errors
from rim.comparison.settings import Comparison, load_comparison, only


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", help="folder of the tables; default: comparison/ where the runs lie")
    parser.add_argument("--reference", metavar="NAME", help="entry that differences are against; default: the first")
    parser.add_argument("--transfer", action="store_true", help="runs may have chosen checkpoints on different sources")
    parser.add_argument("--jobs", type=int, metavar="N", help="runs side by side, with --config: as jobs=N")
    parser.add_argument(
        "--only", nargs="+", metavar="ENTRY", help="with --config: these entries, and those that they need"
    )
    parser.add_argument("--dry-run", action="store_true", help="with --config: print what would be trained, and end")


@user_errors()
def main(argv: list[str] | None = None) -> int:
    """Read the settings (light), then do the work (heavy imports)."""
    line = parse("compare", __doc__, argv, _options, settings=Comparison)
    return _of_runs(line) if _check(line) else _of_config(line)


def _check(line: CommandLine) -> bool:
    """Whether finished runs are named.

    Raises:
        UsageError: neither runs nor a file is named, or both, or an option that belongs to the other.
    """
    options, runs = line.options, [word for word in line.overrides if _is_run(word)]
    if not line.files and not runs:
        raise UsageError(
            "nothing to compare: name finished runs, runs/a runs/b, or a file of what to train, --config "
            "conf/compare/smoke.yaml"
        )
    if line.files and runs:
        raise UsageError(f"'{runs[0]}' is neither key=value nor needed: --config says which runs are compared")
    if line.files and options.out is not None:
        raise UsageError(f"--out {options.out}: with --config the tables go to <folder>/<name>; set folder= or name=")
    if runs and len(runs) < len(line.overrides):
        extra = next(word for word in line.overrides if not _is_run(word))
        raise UsageError(f"'{extra}': settings of finished runs cannot be changed; key=value belongs to --config")
    given_options = {"--jobs": options.jobs is not None, "--only": options.only, "--dry-run": options.dry_run}
    for name, given in given_options.items():
        if runs and given:
            raise UsageError(f"{name} belongs to --config: finished runs are not trained")
    return bool(runs)


def _is_run(word: str) -> bool:
    return "=" not in word or exists(word)


def _of_runs(line: CommandLine) -> int:
    from rim.comparison.conduct import compare_named

    out = None if line.options.out is None else Path(line.options.out)
    named = [Path(word) for word in line.overrides]
    folders = [path for path in named if not (path.suffix == ".log" and path.is_file())]  # what seed-* catches, too
    return compare_named(folders, out, line.options.reference, line.options.transfer)


def _of_config(line: CommandLine) -> int:
    options = line.options
    own = {"jobs": options.jobs, "reference": options.reference, "transfer": "true" if options.transfer else None}
    given = [f"{name}={value}" for name, value in own.items() if value is not None]
    comparison = load_comparison(line.files, [*line.overrides, *given])
    if options.only:
        comparison = only(comparison, options.only)

    from rim.comparison.conduct import compare_planned

    return compare_planned(comparison, options.dry_run)


if __name__ == "__main__":
    sys.exit(main())
