"""Trees padded to a batch: lines of one or more trees, and the supervised tokens of all of them in one list.

Axes: B lines, N tokens of a line, G nodes of a line, S supervised tokens of a batch, U tokens that predict them,
P pairs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rim.base.tree.tree import Tokens, Tree, lay_out, visible_nodes


@dataclass
class TreeBatch:
    """Lines of trees padded on the right, and the supervised tokens of all of them in one list.

    Tokens that predict nothing, the last ones of supervised leaves, are targets only and do not stand among the N.
    `ids_BN`, `position_BN`, `node_BN` (-1: padding), `sees_BGG`, `memory_BN`, `latent_BN`, `chained_BN`; `previous_BN`
    the place of the token before (-1: none); `upto_BN` the last memory token of a tree and all before it. Per
    supervised token the flat index `source_S` (into B x N) of the token that predicts it, and its `target_S`,
    `weight_S`, `readout_S`, `example_S` (number of the tree). `predictor_U` are the different ones among the sources,
    in order, and `row_S` says which of them each supervised token has. Per pair the flat indices `student_P` and
    `teacher_P`, and `weight_P`. `count` is the batch's share of the loss's denominator.

    What a program would have to ask the device for stands here as plain numbers: `chain`, the largest of the chained,
    and `text`, the most tokens of a line that are neither memory nor padding.
    """

    ids_BN: Tensor
    position_BN: Tensor
    node_BN: Tensor
    sees_BGG: Tensor
    memory_BN: Tensor
    latent_BN: Tensor
    chained_BN: Tensor
    previous_BN: Tensor
    upto_BN: Tensor
    student_P: Tensor
    teacher_P: Tensor
    weight_P: Tensor
    source_S: Tensor
    target_S: Tensor
    weight_S: Tensor
    readout_S: Tensor
    example_S: Tensor
    predictor_U: Tensor
    row_S: Tensor
    count: float
    chain: int
    text: int

    def visible_BNN(self) -> Tensor:
        """[B, N, N] bool: token j (last axis) is visible to token i. Padding sees itself alone."""
        n = self.ids_BN.shape[1]
        node_BN = self.node_BN.clamp(min=0)
        rows = self.sees_BGG.gather(1, node_BN[:, :, None].expand(-1, -1, self.sees_BGG.shape[2]))
        visible = rows.gather(2, node_BN[:, None, :].expand(-1, n, -1))
        real = self.node_BN >= 0
        visible = visible & real[:, :, None] & real[:, None, :]
        visible = visible & torch.ones(n, n, dtype=torch.bool, device=visible.device).tril()
        return visible | torch.eye(n, dtype=torch.bool, device=visible.device)

    def to(self, device: torch.device) -> "TreeBatch":
        """The batch on another device."""
        return self._with_tensors(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "TreeBatch":
        """The batch in memory from which a GPU copies without anybody waiting."""
        return self._with_tensors(Tensor.pin_memory)

    def __getstate__(self) -> dict[str, Any]:
        """Arrays in the place of tensors: a loader worker sends each tensor through a file of its own, which costs more
        than its bytes."""
        return {name: value.numpy() if isinstance(value, Tensor) else value for name, value in vars(self).items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, torch.from_numpy(value) if isinstance(value, np.ndarray) else value)

    def _with_tensors(self, change: Callable[[Tensor], Tensor]) -> "TreeBatch":
        tensors: dict[str, Any] = {k: change(value) for k, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)


def pad(trees: Sequence[Tree], pad_id: int) -> TreeBatch:
    """Pad trees to a batch, one tree a line; as `pad_lines`."""
    return pad_lines([[tree] for tree in trees], pad_id)


def pad_lines(lines: Sequence[Sequence[Tree]], pad_id: int, multiple: int = 1) -> TreeBatch:
    """Pad lines of trees to a batch; supervised tokens are sorted by the token that predicts them.

    Args:
        lines: B lines of one or more trees each.
        pad_id: any valid token id; padding is invisible and not supervised.
        multiple: the length of the lines is made one of this.
    """
    trees = [*chain.from_iterable(lines)]
    tokens = lay_out(trees)
    read_N, tree_N = ~tokens.last_N, _repeated([len(tree.nodes) for tree in trees])[tokens.node_N]
    line_N = _repeated([len(line) for line in lines])[tree_N]
    length_B = np.bincount(line_N[read_N], minlength=len(lines))
    place_N = np.cumsum(read_N) - 1 - (np.cumsum(length_B) - length_B)[line_N]
    n = -(-int(length_B.max()) // multiple) * multiple
    flat_N = line_N * n + place_N

    def rows(values_N: np.ndarray, fill: int | bool = 0) -> Tensor:
        made = np.full(len(lines) * n, fill, dtype=values_N.dtype)
        made[flat_N[read_N]] = values_N[read_N]
        return torch.from_numpy(made.reshape(-1, n))

    text_B = np.bincount(line_N[read_N & ~tokens.memory_N], minlength=len(lines))
    return TreeBatch(
        ids_BN=rows(tokens.ids_N, pad_id),
        node_BN=rows(_within(tokens.node_N, line_N), -1),
        sees_BGG=_sees_in(lines),
        **{f"{name}_BN": rows(getattr(tokens, f"{name}_N")) for name in ("position", "memory", "latent", "chained")},
        previous_BN=rows(np.where(tokens.previous_N < 0, -1, place_N[tokens.previous_N]), -1),
        upto_BN=rows(_upto(tokens.memory_N, tree_N)),
        **_pairs(trees, tokens, flat_N),
        **_supervision(tokens, tree_N, flat_N),
        count=float(sum(tree.count for tree in trees)),
        chain=int(tokens.chained_N.max()),
        text=int(text_B.max()),
    )


def _repeated(counts: Sequence[int]) -> np.ndarray:
    """0 as often as the first number says, 1 as often as the second, and so on."""
    return np.repeat(np.arange(len(counts)), counts)


def _within(node_N: np.ndarray, line_N: np.ndarray) -> np.ndarray:
    """[N] number of each token's node within its line; lines and nodes are numbered in order."""
    first_B = node_N[np.searchsorted(line_N, np.arange(line_N[-1] + 1))]
    return node_N - first_B[line_N]


def _upto(memory_N: np.ndarray, tree_N: np.ndarray) -> np.ndarray:
    """[N] bool: the last memory token of each tree, and all before it in the tree."""
    memory = np.flatnonzero(memory_N)
    last_tree = np.full(tree_N[-1] + 1, -1)
    last_tree[tree_N[memory]] = memory  # of several values the last one stays
    return np.arange(len(tree_N)) <= last_tree[tree_N]


def _sees_in(lines: Sequence[Sequence[Tree]]) -> Tensor:
    """[B, G, G] bool: which nodes of a line attend to which."""
    size = max(sum(len(tree.nodes) for tree in line) for line in lines)
    return torch.from_numpy(np.stack([visible_nodes(line, size) for line in lines]))


def _pairs(trees: Sequence[Tree], tokens: Tokens, flat_N: np.ndarray) -> dict[str, Tensor]:
    starts = [*accumulate((len(tree.nodes) for tree in trees), initial=0)]
    pairs = [(start, pair) for start, tree in zip(starts, trees, strict=False) for pair in tree.pairs]
    ends = [(start + pair.student, start + pair.teacher) for start, pair in pairs]
    before = tokens.previous_N[np.searchsorted(tokens.node_N, np.array(ends, dtype=np.int64).reshape(-1, 2))]
    if (before < 0).any():
        raise ValueError("a node that nothing comes before has no state to compare")
    student_P, teacher_P = torch.from_numpy(flat_N[before]).unbind(1)
    weight_P = torch.tensor([pair.weight for _, pair in pairs], dtype=torch.float32)
    return {"student_P": student_P.contiguous(), "teacher_P": teacher_P.contiguous(), "weight_P": weight_P}


def _supervision(tokens: Tokens, tree_N: np.ndarray, flat_N: np.ndarray) -> dict[str, Tensor]:
    chosen = np.flatnonzero(tokens.weight_N)
    chosen = chosen[np.argsort(tokens.previous_N[chosen], kind="stable")]
    before = tokens.previous_N[chosen]
    if (before < 0).any():
        raise ValueError("the first token of a tree cannot be supervised: nothing predicts it")
    source = flat_N[before]
    new = np.diff(source, prepend=-1) != 0
    found = {"source_S": source, "predictor_U": source[new], "row_S": np.cumsum(new) - 1, "example_S": tree_N[chosen]}
    parts = {"target_S": tokens.ids_N, "weight_S": tokens.weight_N, "readout_S": tokens.readout_N}
    found |= {name: values_N[chosen] for name, values_N in parts.items()}
    return {name: torch.from_numpy(values) for name, values in found.items()}
