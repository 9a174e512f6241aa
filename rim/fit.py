"""Train a model, choose a checkpoint, and score it on the test sets.

The same command goes on where an interrupted run stopped, and prints the report
of a finished one. Checkpoints are chosen on the validation set.

Example:
  python -m rim.fit --config conf/demo.yaml run.name=short memory.blocks=2
"""

import sys

from rim.settings.commandline import UsageError, parse, user_errors
from rim.settings.load import load


@user_errors()
def main(argv: list[str] | None = None) -> int:
    """Read the settings (light), then do the work (heavy imports)."""
    line = parse("fit", __doc__, argv)
    if not line.files and not line.overrides:
        raise UsageError("nothing to train: name a file of settings, --config conf/demo.yaml, or settings, key=value")
    config = load(line.files, line.overrides)

    from rim.training.run import fit

    return fit(config)


if __name__ == "__main__":
    sys.exit(main())
