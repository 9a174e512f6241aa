"""Score the model of a finished run on test sets.

Writes accuracy after every block, by steps and by size, controls, predictions.
Overrides: evaluation.*, data.*, memory.blocks, training.accelerator or threads.

Example:
  python -m rim.evaluate --run runs/demo evaluation.batch_size=8
"""

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from rim.settings.commandline import CommandLine, UsageError, add_checkpoint, parse, user_errors

OPEN = ("evaluation.", "data.", "memory.blocks", "training.accelerator", "training.threads")
"""Settings that do not change what the weights are."""


def _options(parser: ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--run", metavar="DIR", help="run folder, such as runs/demo")
    which.add_argument("--export", metavar="FOLDER", help="folder of rim.export, or a chat model's")
    parser.add_argument("--test", nargs="+", metavar="SOURCE", help="test sets, task/split; default: the run's own")
    parser.add_argument("--beside", action="append", metavar="DIR", help="a run without blocks, beside the controls")
    add_checkpoint(parser)
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--protocol", action="store_true", help="the paper's selection on splits of the test set")
    instead.add_argument("--base", nargs="?", type=int, const=4, metavar="N", help="the base model; N examples (4)")
    instead.add_argument("--adaptive", action="store_true", help="choose among K answers (docs/adaptive.md)")


@user_errors()
def main(argv: list[str] | None = None) -> int:
    """Read the command line (light), then do the work (heavy imports)."""
    line = parse("evaluate", __doc__, argv, _options, config=False)
    overrides, sources = named_tests(line)
    options = line.options
    if options.beside and (options.export or options.base is not None or options.protocol or options.adaptive):
        raise UsageError("--beside goes with --run alone: it stands beside the controls of that run")
    if options.export:
        return _score_folder(options, overrides, sources)
    if options.base is not None:
        return _score_base(options, overrides, sources)
    if options.protocol and options.checkpoint:
        raise UsageError(
            f"--protocol chooses among all checkpoints, --checkpoint {options.checkpoint} names one: give either"
        )
    from rim.evaluation.standalone import evaluate

    form = {"protocol": options.protocol, "adaptive": options.adaptive}
    beside = [Path(name) for name in options.beside or ()]
    evaluate(Path(options.run), overrides, sources, options.checkpoint, beside=beside, **form)
    return 0


def _score_base(options: Namespace, overrides: list[str], sources: list[str]) -> int:
    """Score the untouched base model of a run.

    Raises:
        UsageError: a checkpoint is asked for.
    """
    if options.checkpoint:
        raise UsageError("--base takes no --checkpoint: the base model has its own, which nothing has changed")
    from rim.evaluation.base_run import evaluate_base

    evaluate_base(Path(options.run), overrides, sources, options.base)
    return 0


def _score_folder(options: Namespace, overrides: list[str], sources: list[str]) -> int:
    """Score an exported folder.

    Raises:
        UsageError: something is asked for that only a run has.
    """
    given = {"--checkpoint": options.checkpoint, "--protocol": options.protocol, "--adaptive": options.adaptive}
    given["--base"] = options.base is not None
    given["memory.blocks"] = any(override.startswith("memory.") for override in overrides)
    if wrong := [name for name, value in given.items() if value]:
        raise UsageError(f"--export takes no {' or '.join(wrong)}, which are of a run: name it with --run")
    from rim.deployment.score import score_folder

    score_folder(Path(options.export), overrides, sources)
    return 0


def named_tests(line: CommandLine) -> tuple[list[str], list[str]]:
    """Overrides and test sets of a command about a finished run.

    Raises:
        UsageError: an override would change what the weights are.
    """
    for override in line.overrides:
        if not override.startswith(OPEN):
            raise UsageError(
                f"'{override}' would change the run, not its evaluation; overrides here begin with {', '.join(OPEN)}"
            )
    return [*line.overrides], line.options.test or []


if __name__ == "__main__":
    sys.exit(main())
