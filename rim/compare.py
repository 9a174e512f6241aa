"""Compare runs or methods in tables and figures.

Finished runs that differ only in name, folder and seed are seeds of one entry.
With --config, entries x seeds x budgets are trained first, and resumed. key=value
is then a setting of the comparison, jobs=2, or of all its runs.

Example:
  python -m rim.compare runs/demo runs/short
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from rim.settings.commandline import CommandLine, UsageError, exists, parse, user_errors
from rim.studies.comparison.settings import Comparison, load_comparison, only


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--out", metavar="DIR", help="folder of the tables; default: RUN/../comparison")
    parser.add_argument("--reference", metavar="NAME", help="entry to compare with; default: the first")
    parser.add_argument("--transfer", action="store_true", help="allow runs with different validation sets")
    parser.add_argument("--jobs", type=int, metavar="N", help="with --config: runs side by side")
    parser.add_argument("--only", nargs="+", metavar="ENTRY", help="with --config: entries, and those they need")
    parser.add_argument("--dry-run", action="store_true", help="with --config: print what would be trained")


@user_errors()
def main(argv: list[str] | None = None) -> int:
    """Read the settings (light), then do the work (heavy imports)."""
    line = parse("compare", __doc__, argv, _options, settings=Comparison, words="RUN | key=value")
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
    from rim.studies.comparison.conduct import compare_named

    out = None if line.options.out is None else Path(line.options.out)
    named = [Path(word) for word in line.overrides]
    folders = [path for path in named if not (path.suffix == ".log" and path.is_file())]  # what seed-* catches, too
    compare_named(folders, out, line.options.reference, line.options.transfer)
    return 0


def _of_config(line: CommandLine) -> int:
    options = line.options
    own = {"jobs": options.jobs, "reference": options.reference, "transfer": "true" if options.transfer else None}
    given = [f"{name}={value}" for name, value in own.items() if value is not None]
    comparison = load_comparison(line.files, [*line.overrides, *given])
    if options.only:
        comparison = only(comparison, options.only)

    from rim.studies.comparison.conduct import compare_planned

    return compare_planned(comparison, options.dry_run)


if __name__ == "__main__":
    sys.exit(main())
