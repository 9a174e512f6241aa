"""What training costs: floating-point operations, counted in the passes that a method really makes.

Forward and backward of single examples run under torch's own counter, so nothing is estimated: frozen weights, faded
readouts, several passes and a teacher cost what they cost. Matrix products and attention are counted, a multiplication
and an addition each as one operation; activations, norms, the optimiser and padding are not. Attention counts
its four products backward whichever kernel runs (flash kernels compute the scores once more), so the number
does not depend on the machine.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from rim.backbone.backbone import Backbone
from rim.backbone.load import load_backbone, run_tokenizer
from rim.base.tree import Tree, pad
from rim.data.encode import EncodedExample, EncodedSplit
from rim.data.joined import JoinedSplit, Split
from rim.data.prepare import prepare, training_texts
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.settings import Config
from rim.settings.progress import Progress
from rim.training.plan import Plan, StagePlan, make_plan

EXAMPLES = 16
"""Training rows of a source that are measured, the same for every method: the middles of 16 groups of equal length.

Rows evenly spaced over a split would do harm: generated tasks tell stories of 1, 2, 3 … steps in turn, and where the
spacing is a multiple of that period, all measured rows have the same number of steps.
"""
POINTS = 5
"""Moments of a stage at which they are measured: the middles of as many equal stretches."""


@dataclass(frozen=True)
class TrainingCost:
    """Operations of a training example, and examples, padding apart: both by the name of the stage."""

    flops_per_example: dict[str, float]
    examples: dict[str, int]

    @property
    def flops(self) -> float:
        """Operations of the whole plan."""
        return sum(each * self.examples[stage] for stage, each in self.flops_per_example.items())


def cost_of(config: Config) -> TrainingCost:
    """What the training of a configuration will cost, found without a run folder.

    Raises:
        UserError: data or a backbone that cannot be had.
    """
    return _Costing(config).cost(config.training.duration)


def updates_for(config: Config, flops: float) -> int:
    """Updates N for which `training.duration=N steps` costs nearest to a budget; of two equally near ones the fewer.

    The budget is positive, and all stages are given in per cent.
    """
    costing = _Costing(config)
    first = costing.nearest(costing.cost(config.training.duration), flops)
    return costing.nearest(costing.cost(f"{first} steps"), flops)  # a curriculum may depend on the length


def _examples(plan: Plan, batch_size: int) -> dict[str, int]:
    return {stage.stage.name: stage.length * batch_size for stage in plan.stages}


class Meter:
    """Counts single examples. The count depends on a tree's shape alone, so every shape is run once.

    Leaves the backbone as it was: no gradients, the same mode, the same random numbers.
    """

    def __init__(self, method: Method, backbone: Backbone) -> None:
        self.method, self.backbone = method, backbone
        self.known: dict[Any, int] = {}

    def plan(self, train: Split, plan: Plan, batch_size: int) -> TrainingCost:
        """All stages of a plan."""
        each = {stage.stage.name: self.stage(train, stage) for stage in plan.stages}
        return TrainingCost(each, _examples(plan, batch_size))

    def stage(self, train: Split, plan: StagePlan, examples: int = EXAMPLES, points: int = POINTS) -> float:
        """Operations of a training example, forward and backward, in the mean over a stage.

        Args:
            examples: rows to measure, evenly spaced over the split sorted by tokens, of a mixture over every source's,
                which count by the examples that they give; at most all of them.
            points: moments to measure them at, evenly spaced over the stage.
        """
        drawn = train.drawn if isinstance(train, JoinedSplit) else [(1.0, train)]
        return sum(share * self._mean(part, plan, examples, points) for share, part in drawn)

    def _mean(self, train: EncodedSplit, plan: StagePlan, examples: int, points: int) -> float:
        by_length = np.argsort(train.question_lengths + train.chain_lengths(0), kind="stable").tolist()
        rows = [train[by_length[rank]] for rank in _middles(len(train), min(examples, len(train)))]
        moments = [plan.progress(update) for update in _middles(plan.length, points)]
        with _undisturbed(self.backbone):
            counts = [self._example(example, progress) for progress in moments for example in rows]
        return sum(counts) / len(counts)

    def _example(self, example: EncodedExample, progress: Progress) -> int:
        tree = self.method.layout(example, progress)
        shape = _shape(tree)
        if shape not in self.known:
            self.known[shape] = self._count(tree)
        return self.known[shape]

    def _count(self, tree: Tree) -> int:
        batch = pad([tree], self.backbone.special.pad).to(self.backbone.device)
        with FlopCounterMode(display=False, custom_mapping=_ATTENTION) as counter:
            self.method.losses(self.backbone, batch).total.backward()
        return counter.get_total_flops()


def _middles(length: int, parts: int) -> Sequence[int]:
    """The middles of `parts` equal stretches of 0 … length - 1."""
    return [(2 * part + 1) * length // (2 * parts) for part in range(parts)]


def _shape(tree: Tree) -> Any:
    """The tree without the values of its tokens and weights: which there are, and which weights are zero."""
    nodes = tuple((len(node.ids), replace(node, ids=(), weight=float(node.weight != 0))) for node in tree.nodes)
    return nodes, tuple(replace(pair, weight=float(pair.weight != 0)) for pair in tree.pairs)


@contextmanager
def _undisturbed(backbone: Backbone) -> Iterator[None]:
    """Without dropout, from fixed random numbers; mode, gradients and random numbers are put back."""
    training, gradients = backbone.training, [(parameter, parameter.grad) for parameter in backbone.parameters()]
    backbone.zero_grad()
    with torch.random.fork_rng([backbone.device] if backbone.device.type == "cuda" else []), torch.enable_grad():
        torch.manual_seed(0)
        backbone.eval()
        try:
            yield
        finally:
            backbone.train(training)
            for parameter, gradient in gradients:
                parameter.grad = gradient


_KERNELS = ("flash_attention", "flash_attention_for_cpu", "efficient_attention", "cudnn_attention")
_ATTENTION: dict[Any, Callable[..., int]] = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: lambda q, k, v, *_, **__: sdpa_flop_count(q, k, v),
    **{
        getattr(torch.ops.aten, f"_scaled_dot_product_{kernel}_backward"): (
            lambda gradient, q, k, v, *_, **__: 2 * sdpa_flop_count(q, k, v)
        )
        for kernel in _KERNELS
    },
}
"""Formulas of fused kernels, from shapes: two products forward, four backward. Torch's own count the recomputed scores,
too, and there is none for the CPU's."""


class _Costing:
    """Everything that the cost of a configuration depends on, built once for any length of its training."""

    def __init__(self, config: Config) -> None:
        tokenizer = run_tokenizer(config, lambda: training_texts(config.data))
        self.config = config
        self.train = prepare(config.data, tokenizer, config.run.seed).train
        backbone, method = load_backbone(config.backbone, tokenizer, config.run.seed), build_method(config, tokenizer)
        method.add_modules(backbone)
        self.meter = Meter(method, backbone)

    def plan(self, duration: str | None) -> Plan:
        """The stages where `training.duration` is this."""
        training = replace(self.config.training, duration=duration)
        return make_plan(self.config.stages, training, len(self.train))

    def cost(self, duration: str | None) -> TrainingCost:
        """What they cost."""
        return self.meter.plan(self.train, self.plan(duration), self.config.training.batch_size)

    def nearest(self, cost: TrainingCost, flops: float) -> int:
        """Updates whose total is nearest to `flops`, given what an example of each stage costs."""

        def total(updates: int) -> float:
            examples = _examples(self.plan(f"{updates} steps"), self.config.training.batch_size)
            return replace(cost, examples=examples).flops

        most = 1
        while total(most) < flops:
            most *= 2
        enough = 1 + bisect_left(range(1, most + 1), flops, key=total)
        return min((max(1, enough - 1), enough), key=lambda updates: abs(total(updates) - flops))
