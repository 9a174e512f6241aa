"""A tree of tokens: a trunk that is read once, and leaves that see their own past and not each other.

Layout, attention mask, positions and label gathering of every method are derived from this one object.
Three examples (rows see the columns marked x):

    causal text        trunk + one leaf     two leaves on one trunk
        a b c              q m r                q m r s
    a   x . .          q   x . .            q   x . . .
    b   x x .          m   x x .            m   x x . .
    c   x x x          r   x x x            r   x x x .
                                            s   x x . x

Several trees may stand side by side in a line, as one tree with several roots: they do not see each other.

Axes: B lines, N tokens of a line or of a flattened tree, G nodes of either, T tokens of all lines, S supervised tokens
of a batch, U tokens that predict them, P pairs.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import accumulate, chain
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

    @cached_property
    def length(self) -> int:
        """Number of tokens that are read: all but the last ones of supervised leaves."""
        parents = {node.parent for node in self.nodes}
        ends = sum(node.weight != 0 and index not in parents for index, node in enumerate(self.nodes))
        return sum(len(node.ids) for node in self.nodes) - ends

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
class Tokens:
    """Trees laid out one after the other, as vectors over their tokens.

    `ids_N` token ids; `node_N` index of the token's node; `previous_N` flat index of the token before it on its
    own path (-1: none); `position_N` position ids; `weight_N` loss weights; `readout_N` numbers of blocks. `memory_N`
    marks the tokens of blocks and latents, `latent_N` those whose input is the state before them, and `chained_N`
    counts the latter on a token's path, itself included: that many passes come before it. `last_N` marks the last
    tokens of supervised leaves, which predict nothing.
    """

    ids_N: np.ndarray
    node_N: np.ndarray
    previous_N: np.ndarray
    position_N: np.ndarray
    weight_N: np.ndarray
    readout_N: np.ndarray
    memory_N: np.ndarray
    latent_N: np.ndarray
    chained_N: np.ndarray
    last_N: np.ndarray


@dataclass(frozen=True)
class Flat(Tokens):
    """One tree as vectors over its tokens; `sees_GG[g, h]`: whether tokens of node g may attend to those of node h."""

    sees_GG: np.ndarray

    def visible_NN(self) -> np.ndarray:
        """[N, N] bool: token j (column) is visible to token i (row)."""
        earlier = np.tri(len(self.ids_N), dtype=bool)
        return self.sees_GG[np.ix_(self.node_N, self.node_N)] & earlier


def flatten(tree: Tree) -> Flat:
    """Lay the nodes out in order; positions and `previous` continue along each path."""
    tokens = _lay_out([tree])
    return Flat(**vars(tokens), sees_GG=_sees([tree], len(tree.nodes)))


def _lay_out(trees: Sequence[Tree]) -> Tokens:
    """The nodes of all trees in order, each numbered among all of them.

    Node by node is gone in plain numbers, and the rest is done at once: trees are small, many, and new in every update.
    """
    nodes, parents = [node for tree in trees for node in tree.nodes], _parents(trees)
    lengths = [len(node.ids) for node in nodes]
    first = [0, *accumulate(lengths)]
    before, start = _continuations(nodes, parents, lengths, first)
    token_N, node_N = np.arange(first[-1]), np.repeat(np.arange(len(lengths)), lengths)
    previous_N = token_N - 1
    previous_N[first[:-1]] = before
    latent_N = np.array([node.kind == Kind.LATENT for node in nodes])[node_N]
    return Tokens(
        ids_N=np.concatenate([np.asarray(node.ids, dtype=np.int64) for node in nodes]),
        node_N=node_N,
        previous_N=previous_N,
        position_N=token_N + np.subtract(start, first[:-1])[node_N],
        weight_N=np.array([node.weight for node in nodes], dtype=np.float32)[node_N],
        readout_N=np.array([node.readout for node in nodes])[node_N],
        memory_N=np.array([node.kind in (Kind.MEMORY, Kind.LATENT) for node in nodes])[node_N],
        latent_N=latent_N,
        chained_N=_chained(latent_N, parents, first),
        last_N=_last(nodes, parents, first),
    )


def _parents(trees: Sequence[Tree]) -> list[int]:
    """Of every node its parent's number among the nodes of all trees (-1: none)."""
    found: list[int] = []
    for tree in trees:
        start = len(found)
        found += [-1 if node.parent is None else start + node.parent for node in tree.nodes]
    return found


def _continuations(
    nodes: Sequence[Node], parents: list[int], lengths: list[int], first: list[int]
) -> tuple[list[int], list[int]]:
    """Of every node the flat index of the token before it (-1: none), and its first position."""
    before: list[int] = []
    start: list[int] = []
    for node, parent in zip(nodes, parents, strict=True):
        before.append(-1 if parent < 0 else first[parent + 1] - 1)
        after = 0 if parent < 0 else start[parent] + lengths[parent]
        start.append(after if node.start is None else node.start)
    return before, start


def _chained(latent_N: np.ndarray, parents: list[int], first: list[int]) -> np.ndarray:
    """[N] number of latent tokens on each token's path, itself included."""
    chained_N = np.zeros(first[-1], dtype=np.int64)
    if not latent_N.any():
        return chained_N
    for parent, start, end in zip(parents, first, first[1:], strict=False):
        before = 0 if parent < 0 else chained_N[first[parent + 1] - 1]
        chained_N[start:end] = before + np.cumsum(latent_N[start:end])
    return chained_N


def _last(nodes: Sequence[Node], parents: list[int], first: list[int]) -> np.ndarray:
    """[N] bool: the last tokens of supervised nodes without children."""
    last_N, inner = np.zeros(first[-1], dtype=bool), set(parents)
    last_N[[first[g + 1] - 1 for g, node in enumerate(nodes) if node.weight and g not in inner]] = True
    return last_N


def _sees(trees: Sequence[Tree], size: int) -> np.ndarray:
    """[G, G] bool, G = `size`: a node attends to itself and to its ancestors, less the kinds that it hides.

    Ancestors are bits of a number until all nodes have theirs.
    """
    rows: list[int] = []
    for tree in trees:
        first, of_kind, ancestors = len(rows), defaultdict[Kind, int](int), list[int]()
        for index, node in enumerate(tree.nodes):
            own = 1 << (first + index)
            above = 0 if node.parent is None else ancestors[node.parent]
            ancestors.append(above | own)
            of_kind[node.kind] |= own
            for kind in node.hides:
                above &= ~of_kind[kind]
            rows.append(above | own)
    width = -(-size // 8)
    packed = b"".join(row.to_bytes(width, "little") for row in rows).ljust(width * size, b"\0")
    bits = np.frombuffer(packed, dtype=np.uint8).reshape(size, width)
    return np.unpackbits(bits, axis=1, count=size, bitorder="little").view(bool)


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
    tokens = _lay_out(trees)
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
    return torch.from_numpy(np.stack([_sees(line, size) for line in lines]))


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
