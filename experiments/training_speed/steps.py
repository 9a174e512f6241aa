"""What is compared on random tokens: training steps (forward and backward) and decoding.

Axes: B examples, K blocks, N tokens, S supervised tokens, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from pairs import Pairs, in_turn
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from rim.backbone.backbone import Backbone
from rim.backbone.decode import greedy
from rim.backbone.load import scratch_config
from rim.backbone.tokenizer import add_memory_tokens, build_tokenizer
from rim.base.tree import TreeBatch, pad
from rim.data.encode import EncodedExample
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.settings import Config, Scratch, Stage
from rim.settings.progress import Progress

QUESTION, STEPS, STEP, ANSWER = 60, 4, 8, 3
"""Tokens of a question, steps of an example, tokens of a step, and of an answer without its end."""


@dataclass(frozen=True)
class Size:
    """Model and batch of a preset."""

    layers: int
    width: int
    vocabulary: int
    batch: int
    pairs: int


class Bench:
    """A model from scratch in the shape of Llama, and random examples that all comparisons share."""

    def __init__(self, size: Size, seed: int) -> None:
        torch.manual_seed(seed)
        tokenizer = build_tokenizer(["<<1+2=3>> #### 4"], 300)
        special = add_memory_tokens(tokenizer)
        shape = Scratch("llama", size.layers, size.width, heads=size.width // 32, positions=512)
        model = AutoModelForCausalLM.from_config(scratch_config(shape, size.vocabulary, special.end))
        self.size, self.tokenizer, self.backbone = size, tokenizer, Backbone(model, tokenizer, special)
        self.backbone.split_head()
        draw = np.random.default_rng(seed)
        self.examples = [_example(draw, len(tokenizer), size.vocabulary, row) for row in range(size.batch)]

    def method(self, name: str) -> Method:
        """A method with the default settings: K = 8, M = 2."""
        config = Config()
        config.method.name = name  # type: ignore[assignment]
        return build_method(config, self.tokenizer)

    def batch(self, method: Method, objective: str) -> TreeBatch:
        """All examples as one batch of trees, at the beginning of the stage."""
        progress = Progress(Stage(objective, objective))  # type: ignore[arg-type]
        return pad([method.layout(example, progress) for example in self.examples], self.backbone.special.pad)

    def step(self, loss: Callable[[], Tensor]) -> Callable[[], None]:
        """One forward and backward pass."""

        def run() -> None:
            self.backbone.zero_grad()
            loss().backward()

        return run


def packed_against_separate(bench: Bench) -> Pairs:
    """Stage 2: K readouts of each example in one pass, against B x K causal sequences."""
    method = bench.method("memory_blocks")
    trees = bench.batch(method, "refinement")
    separate = Sequences.of_readouts(bench, method)
    packed_loss = lambda: method.losses(bench.backbone, trees).total  # noqa: E731
    separate_loss = lambda: separate.loss(bench.backbone)  # noqa: E731
    difference = (packed_loss() - separate_loss()).abs().item() / bench.size.batch
    assert difference < 1e-4, f"packed and separate losses differ by {difference:.2g} per example"
    times = in_turn(bench.step(separate_loss), bench.step(packed_loss), bench.size.pairs)
    tokens = separate.ids_RN.numel() / trees.ids_BN.numel()
    return Pairs("stage-2 step, K = 8", "separate", "packed", *times, bar=5, at_least=True, tokens=tokens)


def grounding_against_chain(bench: Bench) -> list[Pairs]:
    """Stage 1 against fine-tuning on the same chains: as the method `cot` does it, and without any mask of ours."""
    grounding, cot = bench.method("memory_blocks"), bench.method("cot")
    trees, chains = bench.batch(grounding, "grounding"), bench.batch(cot, "chain")
    plain = Sequences.of_chains(chains)
    stage_1 = bench.step(lambda: grounding.losses(bench.backbone, trees).total)
    others = {
        "method cot": bench.step(lambda: cot.losses(bench.backbone, chains).total),
        "plain causal pass": bench.step(lambda: plain.loss(bench.backbone)),
    }
    tokens = trees.ids_BN.numel() / chains.ids_BN.numel()
    return [
        Pairs(
            *("stage-1 step", "grounding", name, *in_turn(stage_1, other, bench.size.pairs)),
            bar=bar,
            tokens=tokens,
            per_token=bar is not None,
        )
        for (name, other), bar in zip(others.items(), (1.05, None), strict=True)
    ]


def all_readouts_against_last(bench: Bench) -> Pairs:
    """Decoding answers of 4 tokens after all K blocks, against after the last one alone."""
    method = bench.method("memory_blocks")
    prompts = [method.prompt(example) for example in bench.examples]
    last = [replace(prompt, branches=prompt.branches[-1:]) for prompt in prompts]
    endless = Backbone(bench.backbone.model, bench.tokenizer, replace(bench.backbone.special, end=-1))
    run = lambda made: greedy(endless, made, ANSWER + 1)  # noqa: E731
    assert {len(answer) for row in run(prompts) for answer in row} == {ANSWER + 1}
    times = in_turn(lambda: run(prompts), lambda: run(last), 2 * bench.size.pairs)
    bench.backbone.train()
    return Pairs("decoding, 4 tokens", "all 8 readouts", "the last one", *times, bar=2)


@dataclass
class Sequences:
    """R plain sequences, padded on the right: causal attention alone hides the padding, so no mask is given.

    `keep_RN` marks tokens that predict a supervised one; `target_S` and `weight_S` follow in row order.
    """

    ids_RN: Tensor
    keep_RN: Tensor
    target_S: Tensor
    weight_S: Tensor

    @classmethod
    def of_readouts(cls, bench: Bench, method: Method) -> "Sequences":
        """Question, blocks up to k and readout k, for every example and k, with weights 2k / K(K+1) as in training."""
        special, memory = bench.backbone.special, method.config.memory
        block = [special.open, *[special.memory] * memory.tokens_per_block, special.close]
        rows = []
        for example in bench.examples:
            answer = [*example.answer.tolist(), special.end]
            for k in range(1, memory.blocks + 1):
                weight = 2 * k / (memory.blocks * (memory.blocks + 1)) / len(answer)
                rows.append((example.question.tolist() + block * k, answer, weight))
        return cls.of_rows(rows, special.pad)

    @classmethod
    def of_chains(cls, chains: TreeBatch) -> "Sequences":
        """Trees with one leaf, and no padding among them, as they are."""
        keep = torch.zeros_like(chains.ids_BN, dtype=torch.bool)
        keep.view(-1)[chains.source_S] = True
        return cls(chains.ids_BN, keep, chains.target_S, chains.weight_S)

    @classmethod
    def of_rows(cls, rows: list[tuple[list[int], list[int], float]], pad_id: int) -> "Sequences":
        """Rows of (text, supervised text, weight of each of its tokens)."""
        longest = max(len(text) + len(target) - 1 for text, target, _ in rows)  # the last target predicts nothing
        ids = torch.full((len(rows), longest), pad_id)
        keep = torch.zeros(ids.shape, dtype=torch.bool)
        for row, (text, target, _) in enumerate(rows):
            ids[row, : len(text) + len(target) - 1] = torch.tensor(text + target[:-1])
            keep[row, len(text) - 1 : len(text) + len(target) - 1] = True
        weights = [weight for _, target, weight in rows for _ in target]
        return cls(ids, keep, torch.tensor([token for _, target, _ in rows for token in target]), torch.tensor(weights))

    def loss(self, backbone: Backbone) -> Tensor:
        """Weighted sum of negative log-likelihoods in nats; logits only where one is wanted."""
        logits_SV = backbone.model(input_ids=self.ids_RN, use_cache=False, logits_to_keep=self.keep_RN).logits
        return (cross_entropy(logits_SV, self.target_S, reduction="none") * self.weight_S).sum()


def _example(draw: np.random.Generator, low: int, high: int, row: int) -> EncodedExample:
    question, answer, *steps = (draw.integers(low, high, size) for size in (QUESTION, ANSWER, *[STEP] * STEPS))
    return EncodedExample(f"random/{row}", question, tuple(steps), answer, "", "")
