"""Run llama.cpp's converter with the rule by which a tokenizer splits text; a process of its own.

The converter knows that rule by a hash over token ids, so it knows no tokenizer that was built from scratch.
`python llama_cpp.py CONVERTER RULE ...`: what follows are the converter's own arguments.
"""

import runpy
import sys
from importlib import import_module
from pathlib import Path


def main() -> None:
    """Name the rule, then run the converter as if it had been called itself."""
    converter, rule, *arguments = sys.argv[1:]
    sys.path[0] = str(Path(converter).parent)
    import_module("conversion.base").TextModel.get_vocab_base_pre = lambda *_: rule
    sys.argv = [converter, *arguments]
    runpy.run_path(converter, run_name="__main__")


if __name__ == "__main__":
    main()
