"""What is saved where memory enters above layer 0: training updates and prefills at four layers. See README.md."""

import os
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM

from rim.backbone.backbone import Backbone
from rim.backbone.load import scratch_config
from rim.backbone.tokenizer import add_memory_tokens, build_tokenizer
from rim.base.files import write_json
from rim.base.tree import pad
from rim.data.encode import EncodedExample
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.report.tables import table
from rim.runs.environment import describe, use_threads
from rim.settings import Config, Scratch, default_stages
from rim.training.cost import _ATTENTION, Meter
from rim.training.plan import StagePlan, make_plan

SHAPE = Scratch("gpt2", layers=8, width=256, heads=4, positions=256)
LAYERS = (0, 2, 4, 6)
"""0, a quarter, a half and three quarters of the depth."""
QUESTIONS, ANSWER, VOCABULARY = (20, 80), 3, 8_000
"""Tokens of a question, and of an answer without its end."""
BATCH, WARM_UP, SEED = 8, 2, 0
HEADER = ("question", "layer", "ms per update", "of layer 0", "FLOPs", "ms per prefill", "of layer 0", "FLOPs")


@dataclass(frozen=True)
class Entry:
    """A model whose memory enters at a layer, and its method; the weights are the same at every layer."""

    layer: int
    backbone: Backbone
    method: Method
    refinement: StagePlan

    @classmethod
    def at(cls, layer: int) -> "Entry":
        """K = 8 blocks of M = 2, as the defaults are."""
        torch.manual_seed(SEED)
        tokenizer = build_tokenizer(["<<1+2=3>> #### 4"], 300)
        special = add_memory_tokens(tokenizer)
        model = AutoModelForCausalLM.from_config(scratch_config(SHAPE, VOCABULARY, special.end))
        config = Config(stages=default_stages("memory_blocks", "full"))
        config.memory.insertion_layer = layer
        backbone, method = Backbone(model, tokenizer, special), build_method(config, tokenizer)
        method.add_modules(backbone)
        return cls(layer, backbone, method, make_plan(config.stages, config.training, BATCH).stages[-1])

    def update(self, examples: Sequence[EncodedExample]) -> Callable[[], None]:
        """Forward and backward of the refinement's packed trees, as one batch."""
        trees = [self.method.layout(example, self.refinement.progress(0)) for example in examples]
        batch = pad(trees, self.backbone.special.pad)

        def run() -> None:
            self.backbone.train()
            self.backbone.zero_grad()
            self.method.losses(self.backbone, batch).total.backward()

        return run

    def prefill(self, examples: Sequence[EncodedExample]) -> Callable[[], None]:
        """From a question to the first token after every block, for one question as a user would wait."""
        prompts = [self.method.prompt(examples[0])]
        return lambda: (self.method.answer(self.backbone, prompts, 1), None)[1]

    def flops(self, examples: Sequence[EncodedExample]) -> dict[str, float]:
        """Operations of an example's update, and of a prefill."""
        update = Meter(self.method, self.backbone).stage(examples, self.refinement, len(examples), 1)  # type: ignore[arg-type]
        with FlopCounterMode(display=False, custom_mapping=_ATTENTION) as counter:
            self.prefill(examples)()
        return {"update": update, "prefill": float(counter.get_total_flops())}


def examples_of(length: int) -> list[EncodedExample]:
    """Random tokens."""
    draw = np.random.default_rng(SEED)
    parts = [(draw.integers(300, VOCABULARY, length), draw.integers(300, VOCABULARY, ANSWER)) for _ in range(BATCH)]
    return [EncodedExample(str(row), question, (), answer, "", "") for row, (question, answer) in enumerate(parts)]


def in_turn(calls: Sequence[Callable[[], None]], rounds: int) -> np.ndarray:
    """Seconds [rounds, calls]; every round begins with another call, so that drift changes all of them alike."""
    seconds = np.zeros((WARM_UP + rounds, len(calls)))
    for number in range(WARM_UP + rounds):
        for step in range(len(calls)):
            which = (number + step) % len(calls)
            start = time.perf_counter()
            calls[which]()
            seconds[number, which] = time.perf_counter() - start
    return seconds[WARM_UP:]


def measure(entries: Sequence[Entry], length: int, rounds: int) -> list[dict[str, Any]]:
    """All layers at one length of question; ratios are those of each round, and then their median."""
    examples = examples_of(length)
    seconds = {
        "update": in_turn([entry.update(examples) for entry in entries], rounds),
        "prefill": in_turn([entry.prefill(examples) for entry in entries], 4 * rounds),
    }
    found = []
    for index, entry in enumerate(entries):
        facts: dict[str, Any] = {"question": length, "layer": entry.layer}
        flops = entry.flops(examples)
        for what, times in seconds.items():
            ratios = times[:, index] / times[:, 0]
            low, middle, high = np.percentile(ratios, (10, 50, 90)).round(4).tolist()
            milliseconds = round(1e3 * float(np.median(times[:, index])), 2)
            facts[what] = {"median_ms": milliseconds, "ratio": {"p10": low, "median": middle, "p90": high}}
            facts[what] |= {"rounds": len(times), "flops": flops[what]}
        found.append(facts)
    for facts in found:
        for what in seconds:
            facts[what]["flops_ratio"] = round(facts[what]["flops"] / found[0][what]["flops"], 4)
    return found


def row(facts: dict[str, Any]) -> list[str]:
    """Cells of the table."""
    cells = [str(facts["question"]), str(facts["layer"])]
    for what in ("update", "prefill"):
        of = facts[what]
        ratio = f"{of['ratio']['median']:.2f} ({of['ratio']['p10']:.2f} to {of['ratio']['p90']:.2f})"
        cells += [f"{of['median_ms']:.1f}", ratio, f"{of['flops_ratio']:.3f}"]
    return cells


def main() -> None:
    """Measure, print one table, and write results.json."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="timed rounds of updates; of prefills four times as many")
    options = parser.parse_args()
    threads, load = use_threads(1), [round(part, 2) for part in os.getloadavg()]
    entries, start = [Entry.at(layer) for layer in LAYERS], time.perf_counter()
    results = [facts for length in QUESTIONS for facts in measure(entries, length, options.rounds)]
    print(table([row(facts) for facts in results], HEADER))
    seconds = round(time.perf_counter() - start)
    print(f"\nMedians of rounds in turn on a machine that does other work, too (load {load[0]} at start); {seconds} s.")
    setting = {"shape": vars(SHAPE), "vocabulary": VOCABULARY, "answer": ANSWER, "batch": BATCH, "threads": threads}
    facts: dict[str, Any] = {"command": " ".join(["python experiments/insertion_cost/measure.py", *sys.argv[1:]])}
    facts |= {**describe(), "load_average_at_start": load, "setting": {**setting, "seed": SEED}, "seconds": seconds}
    write_json(Path(__file__).with_name("results.json"), {**facts, "results": results})


if __name__ == "__main__":
    main()
