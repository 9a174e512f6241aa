"""A tree of tokens: a trunk that is read once, and leaves that see their own past and not each other.

Layout, attention mask, positions and label gathering of every method are derived from this one object.
Three examples (rows see the columns marked x):

    causal text        trunk + one leaf     two leaves on one trunk
        a b c              q m r                q m r s
    a   x . .          q   x . .            q   x . . .
    b   x x .          m   x x .            m   x x . .
    c   x x x          r   x x x            r   x x x .
                                            s   x x . x

Axes: B examples, N tokens of a flattened tree, G nodes of a tree, S supervised tokens, P pairs of a batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor

Ids = Sequence[int] | np.ndarray
"""Token ids."""


class Kind(StrEnum):
    """What a node holds."""

    QUESTION = "question"
    MEMORY = "memory"
    LATENT = "latent"
    STEP = "step"
    CUE = "cue"
    ANSWER = "answer"


@dataclass(frozen=True)
class Node:
    """A run of tokens with one parent.

    `weight` is the loss weight of each of its tokens (0: not supervised), `readout` the number of the block it
    reads (0: none), `hides` the kinds of ancestors that it does not attend to, and `start` the
    position of its first token where that is not the one after its parent's last.
    """

    kind: Kind
    ids: Ids
    parent: int | None = None
    weight: float = 0.0
    readout: int = 0
    hides: frozenset[Kind] = frozenset()
    start: int | None = None


@dataclass(frozen=True)
class Pair:
    """Two nodes of a tree whose states before their first tokens are compared: the student's follows the teacher's."""

    student: int
    teacher: int
    weight: float


@dataclass(frozen=True)
class Tree:
    """Nodes, parents before children, the example's share `count` of the loss's denominator, and pairs to compare."""

    nodes: tuple[Node, ...]
    count: float = 0.0
    pairs: tuple[Pair, ...] = ()

    def __post_init__(self) -> None:
        for index, node in enumerate(self.nodes):
            if len(node.ids) == 0:
                raise ValueError(f"node {index} ({node.kind}) of a tree has no tokens: leave the node out")
            if node.parent is not None and not 0 <= node.parent < index:
                raise ValueError(f"node {index} ({node.kind}) names parent {node.parent}: a parent stands before it")

    @cached_property
    def flat(self) -> "Flat":
        """The tree as one row of tokens."""
        return flatten(self)

    def path(self, end: int) -> Iterator[int]:
        """A node and its ancestors, from it up to the root."""
        index: int | None = end
        while index is not None:
            yield index
            index = self.nodes[index].parent

    def pruned_to(self, ends: Sequence[int]) -> tuple["Tree", tuple[int, ...]]:
        """The paths to these nodes and nothing else, without pairs, and the nodes' new indices."""
        kept = {node for end in ends for node in self.path(end)}
        place = {old: new for new, old in enumerate(sorted(kept))}
        nodes = [self.nodes[old] for old in place]
        moved = [replace(node, parent=None if node.parent is None else place[node.parent]) for node in nodes]
        return Tree(tuple(moved), self.count), tuple(place[end] for end in ends)


@dataclass(frozen=True)
class Flat:
    """A tree as vectors over its tokens, and which node sees which.

    `ids_N` token ids; `node_N` index of the token's node; `previous_N` flat index of the token before it on its
    own path (-1: none); `position_N` position ids; `weight_N` loss weights; `readout_N` numbers of blocks;
    `sees_GG[g, h]` whether the tokens of node g may attend to those of node h. `memory_N` marks the tokens of blocks
    and latents, `latent_N` those whose input is the state before them, and `chained_N` counts the latter on a token's
    path, itself included: that many passes come before it. `last_N` marks the last tokens of supervised leaves, which
    predict nothing.
    """

    ids_N: np.ndarray
    node_N: np.ndarray
    previous_N: np.ndarray
    position_N: np.ndarray
    weight_N: np.ndarray
    readout_N: np.ndarray
    sees_GG: np.ndarray
    memory_N: np.ndarray
    latent_N: np.ndarray
    chained_N: np.ndarray
    last_N: np.ndarray

    def visible_NN(self) -> np.ndarray:
        """[N, N] bool: token j (column) is visible to token i (row)."""
        earlier = np.tri(len(self.ids_N), dtype=bool)
        return self.sees_GG[np.ix_(self.node_N, self.node_N)] & earlier


def flatten(tree: Tree) -> Flat:
    """Lay the nodes out in order; positions and `previous` continue along each path."""
    lengths = [len(node.ids) for node in tree.nodes]
    first = [0, *accumulate(lengths)]
    before, start = _continuations(tree, lengths, first)
    token_N, node_N = np.arange(first[-1]), np.repeat(np.arange(len(lengths)), lengths)
    previous_N = token_N - 1
    previous_N[first[:-1]] = before
    return Flat(
        ids_N=np.concatenate([np.asarray(node.ids, dtype=np.int64) for node in tree.nodes]),
        node_N=node_N,
        previous_N=previous_N,
        position_N=token_N + np.subtract(start, first[:-1])[node_N],
        weight_N=np.array([node.weight for node in tree.nodes], dtype=np.float32)[node_N],
        readout_N=np.array([node.readout for node in tree.nodes])[node_N],
        sees_GG=_sees(tree),
        memory_N=np.array([node.kind in (Kind.MEMORY, Kind.LATENT) for node in tree.nodes])[node_N],
        latent_N=np.array([node.kind == Kind.LATENT for node in tree.nodes])[node_N],
        chained_N=_chained(tree, lengths, first),
        last_N=_last(tree, first),
    )


def _continuations(tree: Tree, lengths: list[int], first: list[int]) -> tuple[list[int], list[int]]:
    """Of every node the flat index of the token before it (-1: none), and its first position.

    In plain numbers, because a tree has few nodes and is laid out anew for every update.
    """
    before: list[int] = []
    start: list[int] = []
    for node in tree.nodes:
        parent = node.parent
        before.append(-1 if parent is None else first[parent + 1] - 1)
        after = 0 if parent is None else start[parent] + lengths[parent]
        start.append(after if node.start is None else node.start)
    return before, start


def _chained(tree: Tree, lengths: list[int], first: list[int]) -> np.ndarray:
    """[N] number of latent tokens on each token's path, itself included."""
    chained_N = np.zeros(first[-1], dtype=np.int64)
    if all(node.kind != Kind.LATENT for node in tree.nodes):
        return chained_N
    for node, length, start in zip(tree.nodes, lengths, first[:-1], strict=True):
        before = 0 if node.parent is None else chained_N[first[node.parent + 1] - 1]
        own = np.arange(1, length + 1) if node.kind == Kind.LATENT else 0
        chained_N[start : start + length] = before + own
    return chained_N


def _last(tree: Tree, first: list[int]) -> np.ndarray:
    """[N] bool: the last tokens of supervised nodes without children."""
    last_N = np.zeros(first[-1], dtype=bool)
    parents = {node.parent for node in tree.nodes}
    leaves = [g for g, node in enumerate(tree.nodes) if node.weight and g not in parents]
    last_N[[first[g + 1] - 1 for g in leaves]] = True
    return last_N


def _sees(tree: Tree) -> np.ndarray:
    """[G, G] bool: node g attends to itself and to its ancestors, less the kinds that it hides."""
    sees_GG = np.eye(len(tree.nodes), dtype=bool)
    for index, node in enumerate(tree.nodes):
        if node.parent is not None:
            sees_GG[index] |= sees_GG[node.parent]
    for index, node in enumerate(tree.nodes):
        if node.hides:
            hidden = [other for other, ancestor in enumerate(tree.nodes) if ancestor.kind in node.hides]
            sees_GG[index, hidden] = False
            sees_GG[index, index] = True
    return sees_GG


@dataclass
class TreeBatch:
    """Trees padded on the right, and the supervised tokens of all of them in one list.

    Tokens that predict nothing, the last ones of supervised leaves, are targets only and do not stand among the N.
    `ids_BN`, `position_BN`, `node_BN` (-1: padding), `sees_BGG`, `memory_BN`, `latent_BN`, `chained_BN`; `previous_BN`
    the place of the token before (-1: none). Per supervised token the flat index `source_S` (into B x N) of the token
    that predicts it, and its `target_S`, `weight_S`, `readout_S`, `example_S` (row of the batch); per pair the flat
    indices `student_P` and `teacher_P`, and `weight_P`. `count` is the batch's share of the loss's denominator.
    """

    ids_BN: Tensor
    position_BN: Tensor
    node_BN: Tensor
    sees_BGG: Tensor
    memory_BN: Tensor
    latent_BN: Tensor
    chained_BN: Tensor
    previous_BN: Tensor
    student_P: Tensor
    teacher_P: Tensor
    weight_P: Tensor
    source_S: Tensor
    target_S: Tensor
    weight_S: Tensor
    readout_S: Tensor
    example_S: Tensor
    count: float

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
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=True) if isinstance(value, Tensor) else value
            for name, value in vars(self).items()
        }
        return TreeBatch(**moved)


def pad(trees: Sequence[Tree], pad_id: int) -> TreeBatch:
    """Pad trees to a batch; supervised tokens are sorted by the token that predicts them.

    Args:
        trees: B trees.
        pad_id: any valid token id; padding is invisible and not supervised.
    """
    flats = [tree.flat for tree in trees]
    read = [~flat.last_N for flat in flats]
    places = [np.cumsum(kept) - 1 for kept in read]  # of each token among those that are read
    b, n = len(flats), max(int(kept.sum()) for kept in read)
    g = max(len(flat.sees_GG) for flat in flats)
    rows = {name: np.full((b, n), fill) for name, fill in _fillings(pad_id).items()}
    sees = np.zeros((b, g, g), dtype=bool)
    for row, (flat, kept, place) in enumerate(zip(flats, read, places, strict=True)):
        length, nodes = int(kept.sum()), len(flat.sees_GG)
        for name in ("ids", "node", "position", "memory", "latent", "chained"):
            rows[name][row, :length] = getattr(flat, f"{name}_N")[kept]
        before = flat.previous_N[kept]
        rows["previous"][row, :length] = np.where(before < 0, -1, place[before])
        sees[row, :nodes, :nodes] = flat.sees_GG
    return TreeBatch(
        **{f"{name}_BN": torch.from_numpy(values) for name, values in rows.items()},
        sees_BGG=torch.from_numpy(sees),
        **_supervision(flats, places, n),
        **_pairs(trees, flats, places, n),
        count=float(sum(tree.count for tree in trees)),
    )


def _fillings(pad_id: int) -> dict[str, int | bool]:
    """What stands in the padding of each row of tokens."""
    flags: dict[str, int | bool] = {"memory": False, "latent": False}
    return {"ids": pad_id, "node": -1, "position": 0, "chained": 0, "previous": -1} | flags


def _pairs(trees: Sequence[Tree], flats: Sequence[Flat], places: Sequence[np.ndarray], n: int) -> dict[str, Tensor]:
    student, teacher, weight = [], [], []
    for row, (tree, flat, place) in enumerate(zip(trees, flats, places, strict=True)):
        for pair in tree.pairs:
            ends = [flat.previous_N[np.argmax(flat.node_N == node)] for node in (pair.student, pair.teacher)]
            if min(ends) < 0:
                raise ValueError("a node that nothing comes before has no state to compare")
            student.append(place[ends[0]] + row * n)
            teacher.append(place[ends[1]] + row * n)
            weight.append(pair.weight)
    return {
        "student_P": torch.tensor(student, dtype=torch.long),
        "teacher_P": torch.tensor(teacher, dtype=torch.long),
        "weight_P": torch.tensor(weight, dtype=torch.float32),
    }


def _supervision(flats: Sequence[Flat], places: Sequence[np.ndarray], n: int) -> dict[str, Tensor]:
    source, target, weight, readout, example = [], [], [], [], []
    for row, flat in enumerate(flats):
        chosen = np.flatnonzero(flat.weight_N)
        if len(chosen) and flat.previous_N[chosen].min() < 0:
            raise ValueError("the first token of a tree cannot be supervised: nothing predicts it")
        chosen = chosen[np.argsort(flat.previous_N[chosen], kind="stable")]
        source.append(places[row][flat.previous_N[chosen]] + row * n)
        target.append(flat.ids_N[chosen])
        weight.append(flat.weight_N[chosen])
        readout.append(flat.readout_N[chosen])
        example.append(np.full(len(chosen), row))
    joined = {"source_S": source, "target_S": target, "weight_S": weight, "readout_S": readout, "example_S": example}
    return {name: torch.from_numpy(np.concatenate(parts)) for name, parts in joined.items()}
