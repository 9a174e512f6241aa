"""Attention from the tokens that predict an answer, to the question, to each block and to the answer itself, by layer.

Weights are means over heads, predicting tokens and examples. They are read where the model makes them as a matrix
(eager attention), with the right answer standing there.

Axes: B examples, N tokens, Q predicting tokens, H heads, L layers.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from rim.backbone.decode import Prompt
from rim.backbone.observer import layers_of
from rim.backbone.reading import Wanted, read_once
from rim.base.tree import Kind, Tree, pad
from rim.data.encode import EncodedExample
from rim.studies.analysis.subject import AnalysisError, Subject

OWN = "cue and answer"


def attention(subject: Subject, examples: Sequence[EncodedExample]) -> dict[str, np.ndarray]:
    """For each of the question, the blocks and the answer itself the share of attention [L] by layer.

    Raises:
        AnalysisError: the model's layers give no attention weights.
    """
    sums: dict[str, Tensor] = {}
    count = 0
    for batch in subject.batches(examples):
        prompts = subject.prompts(batch)
        trees = [_answered(subject, prompt, of) for prompt, of in zip(prompts, batch, strict=True)]
        for tree, weights_LQN in zip(trees, _weights(subject, trees), strict=True):
            for name, seen_N in _targets(tree).items():
                share_L = weights_LQN[:, :, : len(seen_N)][:, :, seen_N].sum((1, 2))
                sums[name] = sums.get(name, torch.zeros_like(share_L)) + share_L
            count += weights_LQN.shape[1]
    return {name: (total / count).numpy() for name, total in sums.items()}


def _answered(subject: Subject, prompt: Prompt, example: EncodedExample) -> Tree:
    """The trunk with the right answer after its last block, as training lays it out."""
    nodes = list(prompt.trunk.nodes)
    method = subject.evaluator.method
    method.add_leaf(
        nodes, Kind.ANSWER, example.answer, prompt.branches[-1], 1.0, hides=prompt.hides, start=prompt.start
    )
    return Tree(tuple(nodes))


def _targets(tree: Tree) -> dict[str, Tensor]:
    """Which of the tokens [N] that are read belong to the question, to each block, and to the answer."""
    kinds, node_N = [node.kind for node in tree.nodes], torch.from_numpy(tree.flat.node_N[~tree.flat.last_N])
    blocks = [index for index, kind in enumerate(kinds) if kind == Kind.MEMORY]
    groups = {"question": [index for index, kind in enumerate(kinds) if kind == Kind.QUESTION]}
    groups |= {f"block {number}": [index] for number, index in enumerate(blocks, 1)}
    groups[OWN] = [index for index, kind in enumerate(kinds) if kind in (Kind.CUE, Kind.ANSWER)]
    return {name: torch.isin(node_N, torch.tensor(nodes)) for name, nodes in groups.items()}


@torch.no_grad()
def _weights(subject: Subject, trees: Sequence[Tree]) -> Iterator[Tensor]:
    """For each tree the weights [L, Q, N] of its predicting tokens, means over heads."""
    backbone = subject.backbone
    batch = pad(trees, backbone.special.pad).to(backbone.device)
    layers = layers_of(backbone)
    with _eager(backbone.causal), _watched([layers[layer] for layer in subject.layers]) as found:
        read_once(backbone, batch, Wanted(batch.predictor_U))
    if any(weights is None for weights in found):
        raise AnalysisError(
            f"layers of '{backbone.config.model_type}' give no attention weights: leave attention out, with --only"
        )
    mean_LBNN = torch.stack([weights.float().mean(1) for weights in found if weights is not None])
    n = batch.ids_BN.shape[1]
    for row in range(len(trees)):
        of_row = batch.predictor_U[batch.predictor_U // n == row] % n
        yield mean_LBNN[:, row, of_row].cpu()


@contextmanager
def _eager(model: Any) -> Iterator[None]:
    """Attention that makes its weights."""
    own = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(own)


@contextmanager
def _watched(layers: Sequence[nn.Module]) -> Iterator[list[Tensor | None]]:
    """The weights [B, H, N, N] of each layer's attention; None: it gives none."""
    found: list[Tensor | None] = [None] * len(layers)

    def keep(index: int, _: nn.Module, __: object, output: Any) -> None:
        if isinstance(output, tuple) and len(output) > 1:
            found[index] = output[1]

    with ExitStack() as hooks:
        for index, layer in enumerate(layers):
            for name, part in layer.named_children():
                if "attn" in name or "attention" in name.lower():
                    hooks.enter_context(part.register_forward_hook(partial(keep, index)))
        yield found
