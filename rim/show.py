"""python -m rim.show --config FILE … [key=value …] [--row N] [--picture FILE.png]

Print the resolved settings, and draw the tree of one training example in every stage.
"""

import sys
from argparse import ArgumentParser

from rim.commandline import parse, user_errors
from rim.settings import load, to_yaml


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--row", type=int, default=0, help="training example to draw; default: the first")
    parser.add_argument("--picture", metavar="FILE.png", help="also save tree and mask as a picture, one per stage")


@user_errors()
def main(argv: list[str] | None = None) -> int:
    """Print the settings at once; then read data and draw."""
    line = parse("show", __doc__, argv, _options)
    config = load(line.files, line.overrides)
    print(to_yaml(config), flush=True)

    from rim.training.drawing import draw

    draw(config, line.options.row, line.options.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
