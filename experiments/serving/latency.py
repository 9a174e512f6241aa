"""What a user waits for in llama.cpp: a direct answer, RiM's, and one after a chain of thought. See README.md."""

import os
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import torch
from llama_cpp import Llama
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from rim.backbone.load import scratch_config
from rim.backbone.tokenizer import Slots, add_memory_tokens, block_tokens, build_tokenizer
from rim.base.files import write_json
from rim.data.registry import parse_source
from rim.data.tokens import tokenise_question
from rim.deployment.gguf import find_converter, write_gguf
from rim.report.tables import table
from rim.runs.environment import describe, use_threads
from rim.settings import Data, Scratch
from rim.settings.load import load

SHAPE = Scratch("llama", layers=12, width=512, heads=8, feedforward=1536, positions=512, vocabulary=4000)
CHAIN, ANSWER = 40, 4
"""Tokens of a chain of thought, and of an answer."""
SEED = 0


@dataclass(frozen=True)
class Kind:
    """A way of answering: blocks that follow on the question, and tokens that are generated."""

    name: str
    blocks: int
    generated: int


KINDS = (
    Kind("direct", 0, ANSWER),
    Kind("RiM, 4 blocks", 4, ANSWER),
    Kind("RiM, 8 blocks", 8, ANSWER),
    Kind(f"chain of {CHAIN} tokens", 0, CHAIN + ANSWER),
)


def main() -> None:
    """Measure, print the table, and write the record."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="../shared/data", help="folder with gsm8k/")
    parser.add_argument("--questions", type=int, default=25)
    options = parser.parse_args()
    use_threads(1)
    before, questions = os.getloadavg()[0], _texts("test", options.data, options.questions + 1)
    with TemporaryDirectory() as folder:
        tokenizer, engine = _engine(Path(folder), _texts("train", options.data, 2000))
        prompts = [tokenise_question(text, tokenizer, Data()) for text in questions]
        seconds_QKT = np.array(list(_rounds(engine, tokenizer, prompts)))[1:]
    rows = [_row(kind, seconds_QKT[:, place], seconds_QKT[:, 0]) for place, kind in enumerate(KINDS)]
    print(table(rows, ("answer", "first token, ms", "whole answer, ms", "of direct (p10 to p90)")))
    facts = {"questions": options.questions, "prompt_tokens": median(map(len, prompts)), "load_before": before}
    kinds = {kind.name: seconds_QKT[:, place].tolist() for place, kind in enumerate(KINDS)}
    write_json(Path(__file__).with_name("results.json"), {**facts, "seconds": kinds, **describe()})


def _texts(split: str, root: str, rows: int) -> list[str]:
    config = load([], [f"data.root={root}"]).data
    return [example.question for example in parse_source(f"gsm8k/{split}", config).read(config).examples[:rows]]


def _engine(folder: Path, texts: Sequence[str]) -> tuple[PreTrainedTokenizerBase, Llama]:
    """A model with random weights, as GGUF: only the numbers of tokens matter here."""
    torch.manual_seed(SEED)
    tokenizer = build_tokenizer(texts, SHAPE.vocabulary)
    add_memory_tokens(tokenizer)
    model = AutoModelForCausalLM.from_config(scratch_config(SHAPE, len(tokenizer), tokenizer.eos_token_id))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    file = folder / "model.gguf"
    write_gguf(folder, find_converter(""), "fp32", file, [])
    return tokenizer, Llama(str(file), n_ctx=512, n_threads=1, n_threads_batch=1, verbose=False)


def _rounds(
    engine: Llama, tokenizer: PreTrainedTokenizerBase, prompts: Sequence[list[int]]
) -> Iterator[list[tuple[float, float]]]:
    """For each question the processor's seconds of each kind, to the first and the last token; the kinds take turns."""
    block = list(block_tokens(tokenizer, Slots())(1))
    for turn, prompt in enumerate(prompts):
        found = {}
        for place in range(len(KINDS)):
            kind = KINDS[(turn + place) % len(KINDS)]
            found[kind] = _seconds(engine, prompt + block * kind.blocks, kind.generated)
        yield [found[kind] for kind in KINDS]


def _seconds(engine: Llama, prompt: list[int], count: int) -> tuple[float, float]:
    engine.reset()  # or what it remembers of the last prompt would be passed over
    begin, marks = time.process_time(), []  # of one thread: the latency on a machine that does nothing else
    for _ in zip(range(count), engine.generate(prompt, temp=0.0), strict=False):
        marks.append(time.process_time() - begin)
    return marks[0], marks[-1]


def _row(kind: Kind, seconds_QT: np.ndarray, direct_QT: np.ndarray) -> tuple[str, ...]:
    ratio_Q = seconds_QT[:, 1] / direct_QT[:, 1]
    low, middle, high = np.percentile(ratio_Q, (10, 50, 90))
    first, whole = 1e3 * np.median(seconds_QT, 0)
    spread = "1" if kind is KINDS[0] else f"{middle:.2f} ({low:.2f} to {high:.2f})"
    return kind.name, f"{first:.0f}", f"{whole:.0f}", spread


if __name__ == "__main__":
    main()
