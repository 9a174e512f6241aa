"""Write an export as GGUF, through llama.cpp's own converter, and compare token ids."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from rim.deployment.check import Expected
from rim.deployment.errors import ExportError
from rim.deployment.folder import load_tokenizer

VARIABLE = "RIM_LLAMA_CPP"
"""Environment variable: folder of llama.cpp's source."""
SCRIPT = "convert_hf_to_gguf.py"
TYPES = {"fp32": "f32", "bf16": "bf16"}
"""The converter's names of types."""
DIGITS = [("Digits", {"individual_digits": True}), ("ByteLevel", {"add_prefix_space": False, "use_regex": True})]
"""How tokenizers from scratch split text, as SmolLM's does."""


def find_converter(named: str) -> Path:
    """The converter that `--gguf` names (itself, or the folder that it lies in), or else the environment variable.

    Raises:
        ExportError: there is none; says how to get it.
    """
    place = named or os.environ.get(VARIABLE, "")
    path = Path(place) / SCRIPT if Path(place).is_dir() else Path(place)
    if place and path.is_file() and (path.parent / "conversion" / "base.py").is_file():
        return path
    found = f"{place} is none" if place else f"neither --gguf CONVERTER nor {VARIABLE} names it"
    raise ExportError(
        f"--gguf takes llama.cpp's converter, {SCRIPT} with its folder conversion/, and {found}. It lies in "
        "llama.cpp's source, and under vendor/llama.cpp in the source distribution of llama-cpp-python (docs/export.md)"
    )


def write_gguf(folder: Path, converter: Path, dtype: str, file: Path, expected: Sequence[Expected]) -> int | None:
    """Convert a folder, and read the prompts of questions with the file's tokenizer.

    Returns:
        The number of prompts with the run's token ids: all. None: llama-cpp-python is not installed, so that none was
        read.

    Raises:
        ExportError: the converter failed, or the file's tokenizer gives other ids; says where.
    """
    tokenizer = load_tokenizer(folder)
    rule = split_rule(tokenizer)
    script = [str(Path(__file__).with_name("llama_cpp.py")), str(converter), rule] if rule else [str(converter)]
    line = [sys.executable, *script, str(folder), "--outfile", str(file), "--outtype", TYPES[dtype]]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode or not file.exists():
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ExportError(f"llama.cpp's converter {converter} could not convert the export: {last}")
    return compare(file, tokenizer, expected)


def split_rule(tokenizer: PreTrainedTokenizerBase) -> str:
    """llama.cpp's name of the rule of tokenizers from scratch; of others nothing, since the converter knows them."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"] or {}
    parts = state.get("pretokenizers", [])
    alike = len(parts) == len(DIGITS) and all(
        part["type"] == kind and part.items() >= values.items()
        for part, (kind, values) in zip(parts, DIGITS, strict=True)
    )
    return "smollm" if alike else ""


def compare(file: Path, tokenizer: PreTrainedTokenizerBase, expected: Sequence[Expected]) -> int | None:
    """See `write_gguf`."""
    if find_spec("llama_cpp") is None:
        return None
    model = import_module("llama_cpp").Llama(str(file), vocab_only=True, verbose=False)
    for each in expected:
        chat = [{"role": "user", "content": each.question}]
        text: Any = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        ids = model.tokenize(text.encode(), add_bos=False, special=True)
        if ids != each.prompt:
            raise ExportError(
                f"llama.cpp reads {each.question!r} as {len(ids)} tokens that differ from the run's "
                f"{len(each.prompt)}: it splits text by another rule than the tokenizer. Nothing was kept; export "
                "without --gguf"
            )
    return len(expected)
