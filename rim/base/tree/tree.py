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

Axes: N tokens of one tree or of several, one after the other, G nodes.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from itertools import accumulate

import numpy as np

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
        """The tree as one row of tokens; positions and `previous` continue along each path."""
        return Flat(**vars(lay_out([self])), sees_GG=visible_nodes([self], len(self.nodes)))

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


def lay_out(trees: Sequence[Tree]) -> Tokens:
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


def visible_nodes(trees: Sequence[Tree], size: int) -> np.ndarray:
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
