"""Score the model of a finished run on test sets.

Writes accuracy after every block, by steps and by size, with the controls, and
the predictions as JSON lines. Settings come from the run folder; overrides may
change evaluation.*, data.*, memory.blocks, training.accelerator and
training.threads.

Example:
  python -m rim.evaluate --run runs/demo evaluation.batch_size=8
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from rim.settings.commandline import CommandLine, UsageError, parse, user_errors

OPEN = ("evaluation.", "data.", "memory.blocks", "training.accelerator", "training.threads")
"""Settings that do not change what the weights are."""


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--run", required=True, metavar="DIR", help="run folder, such as runs/demo (required)")
    parser.add_argument("--test", nargs="+", metavar="SOURCE", help="test sets, task/split; default: the run's own")
    parser.add_argument("--weights", metavar="NAME", help="a file of DIR/weights; default: the final pick")
    instead = parser.add_mutually_exclusive_group()
    instead.add_argument("--protocol", action="store_true", help="the paper's selection on splits of the test set")
    instead.add_argument("--base", nargs="?", type=int, const=4, metavar="N", help="the base model; N examples (4)")
    instead.add_argument("--adaptive", action="store_true", help="choose among K answers (docs/adaptive.md)")


@user_errors()
def main(argv: list[str] | None = None) -> int:
    """Read the command line (light), then do the work (heavy imports)."""
    line = parse("evaluate", __doc__, argv, _options, config=False)
    overrides, sources = named_tests(line)
    from rim.evaluation.standalone import evaluate

    options = line.options
    if options.base is not None:
        if options.weights:
            raise UsageError("--base takes no --weights: the base model has its own, which nothing has changed")
        from rim.evaluation.base_run import evaluate_base

        evaluate_base(Path(options.run), overrides, sources, options.base)
        return 0
    form = {"protocol": options.protocol, "adaptive": options.adaptive}
    evaluate(Path(options.run), overrides, sources, options.weights, **form)
    return 0


def named_tests(line: CommandLine) -> tuple[list[str], list[str]]:
    """Overrides and test sets of a command about a finished run.

    Raises:
        UsageError: an override would change what the weights are.
    """
    named = line.options.test or []
    overrides = [*line.overrides, *(item for item in named if "=" in item)]  # --test takes all that follows it
    for override in overrides:
        if not override.startswith(OPEN):
            raise UsageError(
                f"'{override}' would change the run, not its evaluation; overrides here begin with {', '.join(OPEN)}"
            )
    return overrides, [item for item in named if "=" not in item]


if __name__ == "__main__":
    sys.exit(main())
