"""What is compared between a commit before and this checkout, and what is measured of this one alone, on rows of GSM8K.

A finding is a row of a table: what, before, after, ratio, bar, met.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from host import host_milliseconds
from pairs import Pairs
from side import Side
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig

from rim.backbone.tokenizer import build_tokenizer

ROOT = Path(__file__).resolve().parents[2]
FILES = ("gsm8k/train.jsonl", "gsm8k/test.jsonl", "gsm8k_icot/valid.txt")
OBJECTIVES = {
    "direct": ("direct", 0),
    "CoT": ("cot", 0),
    "grounding": ("memory_blocks", 0),
    "refinement": ("memory_blocks", 1),
}
"""Method and stage of each."""
ROWS = {"GSM8K, sentences": "sentences", "GSM8K, equations (as GSM8K-Aug has them)": "equations"}


Shape = tuple[int, int, int]
"""Layers, width and vocabulary of a model."""


@dataclass(frozen=True)
class Size:
    """Shapes and numbers of a preset: of models that are timed, before and after and by method, and of repetitions."""

    timed: Shape
    by_method: Shape
    rows: int
    batch: int
    pairs: int
    updates: int
    saved_width: int


@dataclass(frozen=True)
class Finding:
    """Numbers before and after, and what is asked of the second; None: nothing is asked, or nothing was before."""

    what: str
    before: float | None
    after: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the number keeps to its bar."""
        if self.at_least is None and self.at_most is None:
            return None
        return self.after >= (self.at_least or -np.inf) and self.after <= (self.at_most or np.inf)

    def row(self) -> list[str]:
        """Cells of the table."""
        bar = f"at least {self.at_least:g}" if self.at_least else f"at most {self.at_most:g}" if self.at_most else ""
        before = "" if self.before is None else f"{self.before:.3g}"
        return [self.what, before, f"{self.after:.3g}", self.unit, bar, {None: "", True: "yes", False: "NO"}[self.met]]


class Sections:
    """All measurements on GSM8K's rows.

    Args:
        before: a checkout of the commit to compare with.
        data: folder of the published data.
        work: an empty folder.
    """

    def __init__(self, size: Size, before: Path, data: Path, work: Path) -> None:
        self.size, self.work = size, work
        self.both = (Side(before), Side(ROOT))
        for name in FILES:
            (work / "data" / name).parent.mkdir(parents=True, exist_ok=True)
            with open(data / name, encoding="utf-8") as file:
                (work / "data" / name).write_text("".join(islice(file, size.rows)), encoding="utf-8")
        self.tokenizer = build_tokenizer((work / "data" / FILES[0]).read_text(encoding="utf-8").splitlines(), 2_000)

    def close(self) -> None:
        """End the processes."""
        for side in self.both:
            side.close()

    @contextmanager
    def another(self) -> Iterator[Side]:
        """One more process of this checkout."""
        side = Side(ROOT)
        try:
            yield side
        finally:
            side.close()

    def model(self, shape: str, layers: int, width: int, vocabulary: int) -> str:
        """Folder of a model with random weights, as a hub would give it: the family's own GELU, and no dropout."""
        folder = self.work / f"{shape}-{layers}-{width}-{vocabulary}"
        if not folder.is_dir():
            heads, ends = max(1, width // 64), {"bos_token_id": None, "eos_token_id": self.tokenizer.eos_token_id}
            sizes: dict[str, Any] = {"vocab_size": vocabulary, **ends}
            torch.manual_seed(0)
            if shape == "gpt2":
                sizes |= {"n_embd": width, "n_layer": layers, "n_head": heads}
                config: Any = GPT2Config(**sizes, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
            else:
                sizes |= {"hidden_size": width, "num_hidden_layers": layers, "num_attention_heads": heads}
                config = LlamaConfig(**sizes, intermediate_size=8 * width // 3, tie_word_embeddings=True)
            AutoModelForCausalLM.from_config(config).save_pretrained(folder)
            self.tokenizer.save_pretrained(folder)
        return str(folder)

    def begin(self, sides: Sequence[Side], method: str, model: str, batch: int, *more: str) -> None:
        """Have sides build a method, a model and data, by settings that both checkouts know."""
        data = [f"data.root={self.work / 'data'}", f"data.cache={self.work / 'cache'}", "data.train=gsm8k/train"]
        rows = ["data.validation=gsm8k_aug/validation", "data.test=[gsm8k/test]", "data.workers=0"]
        backbone = ["backbone.source=pretrained", f"backbone.name={model}", "backbone.training=full"]
        training = [f"training.batch_size={batch}", "training.duration=400 steps", "training.validate_every=100%"]
        for side in sides:
            side.ask("begin", overrides=[*data, *rows, *backbone, *training, f"method.name={method}", *more])

    def shares(self) -> Iterator[Finding]:
        """Useful share of the tokens that updates of 128 read."""
        model = self.model("gpt2", 1, 64, 3_000)
        for rows, form in ROWS.items():
            for name, (method, stage) in OBJECTIVES.items():
                self.begin(self.both, method, model, 128, f"data.steps={form}")
                found = [side.ask("share", stage=stage, updates=self.size.updates) for side in self.both]
                old, new = (each["useful"] / each["read"] for each in found)
                yield Finding(f"{name}, {rows}", old, new, "useful share of tokens", at_least=0.9)

    def speed(self) -> Iterator[Pairs]:
        """Forward and backward of updates in the shape of GPT-2, in turn; then grounding against CoT."""
        model = self.model("gpt2", *self.size.timed)
        for name in ("grounding", "refinement"):
            method, stage = OBJECTIVES[name]
            self.begin(self.both, method, model, self.size.batch)
            yield self._timed(
                f"{name}, update of {self.size.batch}", ("before", "after"), self.both, stage, at_least=True
            )
        self.begin(self.both[1:], "memory_blocks", model, self.size.batch)
        with self.another() as other:
            self.begin([other], "cot", model, self.size.batch)
            sides = (self.both[1], other)
            yield self._timed(
                f"stage-1 step, update of {self.size.batch}", ("grounding", "CoT"), sides, 0, at_least=False
            )

    def _timed(self, what: str, names: tuple[str, str], sides: Sequence[Side], stage: int, *, at_least: bool) -> Pairs:
        """Updates of two sides in turn: at least 1.6 times as fast, or at most 1.05 times as dear as their tokens."""
        tokens = [side.ask("share", stage=stage, updates=self.size.pairs + 1)["read"] for side in sides]
        one, other = _in_turn(sides, stage, self.size.pairs)
        bar, share = (1.6 if at_least else 1.05), tokens[0] / tokens[1]
        return Pairs(what, *names, one, other, bar=bar, at_least=at_least, tokens=share, per_token=not at_least)

    def saved(self) -> Iterator[Finding]:
        """Bytes that autograd keeps per layer and useful token: from models of three layers and of one."""
        for shape in ("gpt2", "llama"):
            found = []
            for layers in (1, 3):
                model = self.model(shape, layers, self.size.saved_width, 3_000)
                self.begin(self.both, "memory_blocks", model, 32)
                found.append([side.ask("saved", stage=1, update=0) for side in self.both])
            old, new = (
                (three["bytes"] - one["bytes"]) / 2 / one["useful"] / 1e3 for one, three in zip(*found, strict=True)
            )
            yield Finding(
                f"{shape}, refinement, width {self.size.saved_width}", old, new, "kB per useful token and layer"
            )

    def host(self) -> Iterator[Finding]:
        """Milliseconds of an update outside forward and backward: tracking task, a layer of width 16, two workers."""
        for stage, name in enumerate(("grounding", "refinement")):
            wall, work = host_milliseconds(self.work, stage, 128, self.size.updates)
            yield Finding(f"{name}, update of 128, by the clock", None, wall, "ms outside fwd + bwd", at_most=6)
            yield Finding(f"{name}, update of 128, work of the thread", None, work, "ms outside fwd + bwd")

    def regimes(self) -> Iterator[Finding]:
        """Examples per second of methods at batches of 4, where arithmetic takes the time and where launching does."""
        shapes = {"large": self.size.by_method, "tiny": (2, 128, 3_000)}
        methods = {**OBJECTIVES, "Coconut, last stage": ("coconut", -1)}
        for shape, sizes in shapes.items():
            for name, (method, stage) in methods.items():
                self.begin(self.both[1:], method, self.model("gpt2", *sizes), 4)
                (seconds,) = _in_turn(self.both[1:], stage, self.size.pairs)
                rate = 4 / float(np.median(seconds))
                yield Finding(f"{name}, {shape}: {sizes[0]} layers of {sizes[1]}", None, rate, "examples/s")


def _in_turn(sides: Sequence[Side], stage: int, pairs: int) -> list[list[float]]:
    """Seconds of work of the same updates, side after side, without a first round of warm-up."""
    rounds = [[side.ask("step", stage=stage, update=number) for side in sides] for number in range(pairs + 1)]
    return [list(times) for times in zip(*rounds[1:], strict=True)]
