"""Print the settings of a run, and the token tree of a training example.

The tree is drawn as it is laid out at the beginning of every stage. With --data
the data are listed instead.

Example:
  python -m rim.show --config conf/demo.yaml memory.blocks=2 --row 3
"""

import sys
from argparse import ArgumentParser

from rim.settings.commandline import parse, user_errors
from rim.settings.load import load, to_yaml


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--row", type=int, default=0, metavar="N", help="training example, from 0; default: 0")
    parser.add_argument("--data", action="store_true", help="ten rows as they are read, lengths, and what is left out")
    parser.add_argument("--figure", "--picture", metavar="FILE.png", help="also save tree and mask, one figure a stage")


@user_errors()
def main(argv: list[str] | None = None) -> int:
    """Print the settings at once; then read data and draw. With --data the data alone."""
    line = parse("show", __doc__, argv, _options)
    config = load(line.files, line.overrides)
    if line.options.data:
        from rim.training.preview import preview

        preview(config)
        return 0
    print(to_yaml(config), flush=True)

    from rim.training.drawing import draw

    draw(config, line.options.row, line.options.figure)
    return 0


if __name__ == "__main__":
    sys.exit(main())
