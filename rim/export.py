"""Export a run as a Hugging Face folder.

The folder needs none of our code: transformers, vLLM and llama.cpp run it, and
its chat template writes the memory blocks after the question. The export answers
questions of the run and compares: a folder that differs is not kept.

Example:
  python -m rim.export --run runs/demo --to exports/demo
"""

import sys
from argparse import ArgumentParser
from pathlib import Path

from rim.settings.commandline import add_checkpoint, parse, user_errors


def _options(parser: ArgumentParser) -> None:
    parser.add_argument("--run", required=True, metavar="DIR", help="run folder, such as runs/demo (required)")
    parser.add_argument("--to", required=True, metavar="FOLDER", help="new folder of the export (required)")
    add_checkpoint(parser)
    parser.add_argument("--dtype", choices=("fp32", "bf16"), default="fp32", help="type of the weights; default: fp32")
    parser.add_argument("--blocks", type=int, metavar="K", help="memory blocks by default; default: the run's own")
    parser.add_argument("--license", metavar="L", help="licence of the card, such as mit; never guessed")
    parser.add_argument("--base-model", metavar="OWNER/NAME", help="base model of the card, where the run has a folder")
    converter = "also as GGUF, by llama.cpp's converter; default: RIM_LLAMA_CPP"
    parser.add_argument("--gguf", nargs="?", const="", metavar="CONVERTER", help=converter)
    parser.add_argument("--push", metavar="OWNER/NAME", help="also upload it to the Hugging Face hub")


@user_errors()
def main(argv: list[str] | None = None) -> int:
    """Read the command line (light), then do the work (heavy imports)."""
    options = parse("export", __doc__, argv, _options, config=False, settings=None, words="").options

    from rim.deployment.export import Wanted, export

    facts = (options.license, options.base_model, options.gguf, options.push)
    wanted = Wanted(options.checkpoint, options.dtype, options.blocks, *facts)
    export(Path(options.run), Path(options.to), wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
