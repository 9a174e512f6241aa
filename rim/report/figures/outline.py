"""Names the nodes of a tree, tells what hangs from what, and draws the tree as text."""

from collections.abc import Callable
from itertools import groupby

import numpy as np

from rim.base.tree import Kind, Node, Tree

Label = Callable[[int], str]
"""Token id → its text."""

TRUNK = (Kind.QUESTION, Kind.MEMORY, Kind.LATENT)
WIDTH = 100
"""Longest line, in characters; a text that does not fit loses its middle."""


def tree_text(tree: Tree, label: Label) -> str:
    """The tree for a terminal: a line per node with its positions, tokens, loss weight (sum over its tokens) and text.

    The trunk runs down the left edge; what hangs from a node is indented below it. An empty line parts two roots.
    """
    strokes, all_names = _strokes(tree), names(tree)
    header = ("node", "positions", "tokens", "loss weight")
    rows = [header, *((stroke + all_names[index], *_facts(tree, index)) for index, stroke in strokes.items())]
    widths = [max(len(row[at]) for row in rows) for at in range(len(header))]
    room = WIDTH - sum(widths) - 2 * len(widths)
    texts = ["text", *(_quoted(tree.nodes[index], label, room) for index in strokes)]
    lines = [_line(row, widths, text) for row, text in zip(rows, texts, strict=True)]
    roots = [at for at, index in enumerate(strokes, 1) if tree.nodes[index].parent is None]
    return "\n".join(("\n" if at in roots[1:] else "") + line for at, line in enumerate(lines))


def names(tree: Tree) -> list[str]:
    """`question`, `block 2`, `readout 2: step`, ... per node; memory that no readout belongs to is `memory`."""
    return [_name(node) for node in tree.nodes]


def _name(node: Node) -> str:
    if not node.readout:
        return str(node.kind)
    return f"block {node.readout}" if node.kind == Kind.MEMORY else f"readout {node.readout}: {node.kind}"


def children(tree: Tree, parent: int | None) -> tuple[list[int], list[int]]:
    """(what hangs from a node, what continues its line); `parent` None: ([], the roots).

    Question, memory and latent nodes continue. A step, cue or answer hangs from one of these where leaves branch off,
    and continues where nothing does; so does the rest of a question, which no block follows.
    """
    found = [index for index, node in enumerate(tree.nodes) if node.parent == parent]
    if parent is None:
        return [], found
    straight = [index for index in found if tree.nodes[index].kind in TRUNK and not _is_rest(tree, index)]
    hanging = [index for index in found if index not in straight]
    if len(found) == 1 and (tree.nodes[parent].kind not in TRUNK or not _branches(tree, parent)):
        return [], found
    return hanging, straight


def _is_rest(tree: Tree, index: int) -> bool:
    """Whether a node is what a block leaves of the question: no memory follows it."""
    node, following = tree.nodes[index], [other.kind for other in tree.nodes if other.parent == index]
    return node.kind == Kind.QUESTION and node.parent is not None and Kind.MEMORY not in following


def total_weight(node: Node) -> float:
    """A node's share of the loss: the sum of its tokens' weights."""
    return node.weight * len(node.ids)


def positions(tree: Tree, index: int) -> str:
    position = tree.flat.position_N[tree.flat.node_N == index]
    return f"{position[0]}-{position[-1]}" if len(position) > 1 else f"{position[0]}"


def node_text(node: Node, label: Label) -> str:
    """The text of a node's tokens, in one line; equal memory tokens in a row are counted: `<b><m>×8</b>`."""
    if node.kind not in (Kind.MEMORY, Kind.LATENT):
        return visible("".join(label(int(token)) for token in node.ids))
    runs = [(visible(label(int(token))), len(list(run))) for token, run in groupby(node.ids)]
    return "".join(f"{text}×{count}" if count > 2 else text * count for text, count in runs)


def hidden(node: Node) -> str:
    """`hides question`, or nothing."""
    return f"hides {', '.join(sorted(node.hides))}" if node.hides else ""


def visible(text: str) -> str:
    """Line ends and other characters without a shape as escapes."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def shorten(text: str, width: int) -> str:
    """Cut to `width` characters: both ends, and an ellipsis between."""
    left = width // 2
    return text if len(text) <= width else f"{text[:left]}…{text[len(text) - (width - 1 - left) :]}"


def _branches(tree: Tree, index: int) -> bool:
    """Whether some node on the tree of `index` has two children: then leaves hang, else all is one line."""
    root_of: list[int] = []
    for at, node in enumerate(tree.nodes):
        root_of.append(at if node.parent is None else root_of[node.parent])
    parents = [n.parent for at, n in enumerate(tree.nodes) if root_of[at] == root_of[index] and n.parent is not None]
    return len(parents) > len(np.unique(parents))


def _strokes(tree: Tree) -> dict[int, str]:
    """Node → the strokes before its name, in the order of drawing."""
    strokes: dict[int, str] = {}

    def draw(index: int, stroke: str, edge: str) -> None:
        strokes[index] = stroke
        hanging, straight = children(tree, index)
        for at, child in enumerate(hanging, 1):
            more = bool(straight) or at < len(hanging)
            draw(child, edge + ("├ " if more else "└ "), edge + ("│ " if more else "  "))
        for child in straight:
            draw(child, edge, edge)

    for root in children(tree, None)[1]:
        draw(root, "", "")
    return strokes


def _facts(tree: Tree, index: int) -> tuple[str, str, str]:
    node = tree.nodes[index]
    return positions(tree, index), str(len(node.ids)), f"{total_weight(node):.3f}" if node.weight else "-"


def _quoted(node: Node, label: Label, room: int) -> str:
    remark = f" ({hidden(node)})" if node.hides else ""
    return f'"{shorten(node_text(node, label), max(12, room - 2 - len(remark)))}"{remark}'


def _line(row: tuple[str, ...], widths: list[int], text: str) -> str:
    name, *facts = (
        cell.ljust(w) if at == 0 else cell.rjust(w) for at, (cell, w) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join([name, *facts, text])
