"""Ask the model of a finished run.

Without a question, questions are read from the terminal or a pipe, a line each.
Shows the final answer, its latency, and what each block would have answered.

Example:
  python -m rim.ask --run runs/demo "Ann has the pin. Who has the pin?"
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from rim.settings.commandline import add_checkpoint, parse, user_errors


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--run", required=True, metavar="DIR", help="run folder, such as runs/demo (required)")
    add_checkpoint(parser)
    parser.add_argument("--blocks", type=int, metavar="K", help="memory blocks to read; default: the run's own")
    parser.add_argument("--steps", action="store_true", help="also the step that each block was grounded in")
    parser.add_argument("--json", action="store_true", help="one JSON object for each question")


@user_errors()
def main(argv: list[str] | None = None) -> int:
    """Read the command line (light), then do the work (heavy imports)."""
    line = parse("ask", __doc__, argv, _options, config=False, settings=None, words="QUESTION")

    from rim.deployment.console import Form, ask

    options = line.options
    form = Form(options.blocks, options.steps, options.json)
    ask(Path(options.run), options.checkpoint, line.overrides, form)
    return 0


if __name__ == "__main__":
    sys.exit(main())
