"""Measure what a run's blocks hold, and whether its answers need it.

Parts: patch (states of another question put in), probe (linear probes), lens
(logit lens, affine lens), steps (what the readouts of grounding read from
blocks), pca, attention. Writes tables and figures to DIR/analysis.

Example:
  python -m rim.analyze --run runs/demo --only patch probe
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from rim.base.errors import did_you_mean
from rim.evaluate import named_tests
from rim.settings.commandline import UsageError, add_checkpoint, parse, user_errors

PARTS = ("patch", "probe", "lens", "steps", "pca", "attention")
ALONG = ("patch", "probe", "lens")
"""Parts that are followed along training."""


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--run", required=True, metavar="DIR", help="run folder, such as runs/demo (required)")
    parser.add_argument("--only", nargs="+", metavar="PART", help="parts to do; default: all")
    parser.add_argument("--test", nargs="+", metavar="SOURCE", help="test sets, task/split; default: the run's own")
    add_checkpoint(parser)
    parser.add_argument("--layers", nargs="+", metavar="N", help="layers to look at, from 0; default: all")
    parser.add_argument("--along-training", action="store_true", help=f"{', '.join(ALONG)} at every kept checkpoint")
    parser.add_argument("--rows", type=int, default=256, metavar="N", help="most questions of a set; default: 256")


@user_errors()
def main(argv: list[str] | None = None) -> int:
    """Read the command line (light), then do the work (heavy imports)."""
    line = parse("analyze", __doc__, argv, _options, config=False)
    overrides, sources = named_tests(line)
    options = line.options
    parts = _parts(options.only or (ALONG if options.along_training else PARTS))
    layers = _whole_numbers(options.layers or [])
    if options.rows < 1:
        raise UsageError(f"--rows {options.rows}: at least 1 question is read")
    if options.along_training:
        _check_along(parts, options.checkpoint)

    from rim.studies.analysis.conduct import analyze

    form = {"parts": parts, "weights": options.checkpoint, "layers": layers, "rows": options.rows}
    analyze(Path(options.run), overrides, sources, along=options.along_training, **form)
    return 0


def _parts(named: list[str] | tuple[str, ...]) -> list[str]:
    for name in named:
        if name not in PARTS:
            raise UsageError(f"--only {name}: no such part{did_you_mean(name, PARTS)}; there are {', '.join(PARTS)}")
    return [part for part in PARTS if part in named]


def _check_along(parts: list[str], checkpoint: str | None) -> None:
    if checkpoint:
        raise UsageError(f"--along-training looks at every checkpoint, --checkpoint {checkpoint} at one: give either")
    for part in parts:
        if part not in ALONG:
            raise UsageError(f"--only {part} is not followed along training: there are {', '.join(ALONG)}")


def _whole_numbers(named: list[str]) -> list[int]:
    for word in named:
        if not word.isdecimal():
            raise UsageError(f"--layers {word}: a layer is a whole number, counted from 0")
    return [int(word) for word in named]


if __name__ == "__main__":
    sys.exit(main())
