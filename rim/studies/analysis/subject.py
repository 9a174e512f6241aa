"""The model that is analysed, with its questions, and where blocks and questions stand in what it reads.

Axes: B examples, N tokens of a trunk, P places of a site in it, K blocks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rim.backbone.backbone import Backbone
from rim.backbone.decode import Prompt
from rim.backbone.patching import Trace, trace, traced_layers
from rim.backbone.reading import read_once
from rim.base.errors import UserError
from rim.base.tree import Kind, Tree, pad
from rim.data.encode import EncodedExample
from rim.data.example import Task
from rim.evaluation.evaluator import Evaluator
from rim.settings.checks import WITH_BLOCKS

OUTPUT = "output"
"""Name of the states that the last layer gives; the others are named by the layer that they are given to."""


class AnalysisError(UserError):
    """A run, a task or a layer that cannot be analysed so."""


@dataclass(frozen=True)
class Subject:
    """A model that reads blocks in one pass, and the task whose questions it is asked.

    `layers` are those that are looked at, each by its input; `batch_size` questions are read together.
    """

    backbone: Backbone
    evaluator: Evaluator
    task: Task
    layers: tuple[int, ...]
    batch_size: int = 64

    @property
    def states(self) -> dict[int, str]:
        """Number in a trace → name, of the input of each layer and of what the last layer gives."""
        return {layer: f"layer {layer}" for layer in self.layers} | {traced_layers(self.backbone).stop: OUTPUT}

    def prompts(self, examples: Sequence[EncodedExample]) -> list[Prompt]:
        """What the last answers of these questions are read from."""
        return [prompt.final for prompt in self.evaluator.prompts(self.backbone, examples)]

    def trace(self, prompts: Sequence[Prompt]) -> Trace:
        """The states of their trunks."""
        trees = [prompt.trunk for prompt in prompts]
        return trace(self.backbone, pad(trees, self.backbone.special.pad).to(self.backbone.device))

    def batches(self, examples: Sequence[EncodedExample]) -> Iterator[list[EncodedExample]]:
        """The examples in their order, `batch_size` at a time."""
        for start in range(0, len(examples), self.batch_size):
            yield list(examples[start : start + self.batch_size])


def check_readable(evaluator: Evaluator, backbone: Backbone) -> None:
    """Make sure that a model reads blocks, after text that they can know, and in one pass.

    Raises:
        AnalysisError: it does not; names the setting.
    """
    config = evaluator.method.config
    if config.method.name not in WITH_BLOCKS:
        raise AnalysisError(
            f"this run has method.name={config.method.name}, which reads no blocks, and an analysis looks into blocks: "
            f"use a run of {', '.join(WITH_BLOCKS)}"
        )
    if config.memory.placement == "before_question":
        raise AnalysisError(
            "this run has memory.placement=before_question: its blocks know no question, and their states are the same "
            "for all; use a run with after_question or sentence_ends"
        )
    if evaluator.method.reader(backbone) is not read_once:
        raise AnalysisError(
            f"method.name={config.method.name} reads a question in several passes, and an analysis follows states "
            "through one: use a run of memory_blocks or pause"
        )


def chosen_layers(backbone: Backbone, named: Sequence[int]) -> tuple[int, ...]:
    """The layers that are looked at; none named: all that can be.

    Raises:
        AnalysisError: a layer that the model has not, or in which blocks have no state of their own.
    """
    known = traced_layers(backbone)
    inserted = "" if backbone.insertion is None else f", since memory enters at layer {backbone.insertion.layer}"
    if not known:
        raise AnalysisError(f"no layer is left to look at{inserted}, the last one: its input is the same for all")
    for layer in named:
        if layer not in known:
            raise AnalysisError(
                f"--layers {layer}: there is no such layer to look at; this run has {known.start} to {known.stop - 1}, "
                f"counted from 0{inserted}"
            )
    return tuple(sorted({*named})) or tuple(known)


def block_places(tree: Tree) -> list[np.ndarray]:
    """For each block the places of its tokens."""
    blocks = [index for index, node in enumerate(tree.nodes) if node.kind == Kind.MEMORY]
    return [np.flatnonzero(tree.flat.node_N == index) for index in blocks]


def question_places(tree: Tree) -> np.ndarray:
    """Places of the question's tokens."""
    return np.flatnonzero(~tree.flat.memory_N)


def stacked(places: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """[B, P] places; of a row that has fewer than another the last one is repeated."""
    most = max(map(len, places))
    rows = [np.pad(row, (0, most - len(row)), mode="edge") for row in places]
    return torch.from_numpy(np.stack(rows)).to(device)
