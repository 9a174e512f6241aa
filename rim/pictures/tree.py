"""One example as a figure: the tree as boxes, and its attention mask [N, N].

Axes: N tokens of the flattened tree, C colour channels. Colours are those of Okabe and Ito, which colour-blind
readers can tell apart. The drawing is laid out in inches.
"""

import textwrap
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch

from rim.pictures.outline import Label, children, hidden, names, node_text, positions, shorten, total_weight, visible
from rim.tree import Kind, Tree

COLOURS = {
    Kind.QUESTION: "#56B4E9",
    Kind.MEMORY: "#E69F00",
    Kind.LATENT: "#F0E442",
    Kind.STEP: "#009E73",
    Kind.CUE: "#CC79A7",
    Kind.ANSWER: "#D55E00",
}
MOST_TICKS = 40
"""Up to this many tokens the mask's ticks are tokens, beyond it nodes."""
MOST_LINES = 9
"""Lines of text in a box; the rest is an ellipsis."""
COLUMN, BOX, GAP, LINE = 1.45, 1.28, 0.35, 0.145
"""Width of a column, width of a box in it, height between rows, height of a line of text; inches."""
MOST_BESIDE = 9.0
"""A tree of up to this many inches has its mask beside it, a wider one below."""
BORDER, TITLE, TICKS = 0.3, 0.7, 1.1
"""Room at the edges, above for titles, and beside the mask for its labels; inches."""
NOTE = (
    "Each token sees the tokens before it on its own path back to the root, and none on another path.\n"
    "Positions count along a path, so branches share them. The darker a box, the larger its share of the loss."
)


class Place(NamedTuple):
    """Where a node stands: columns to the right, rows downwards."""

    column: int
    row: int


def tree_picture(tree: Tree, label: Label, title: str = "") -> Figure:
    """The tree and its mask.

    Args:
        tree: one example.
        label: token id → text.
        title: a line above both.
    """
    places = _places(tree)
    lines = [_lines(tree, index, label) for index in range(len(tree.nodes))]
    tops = _tops(places, lines)
    mask = min(6.5, max(4.0, 0.15 * len(tree.flat.ids_N)))
    wide = max(COLUMN * (1 + max(place.column for place in places)), 5.2)
    figure, left, right = _canvas(wide, tops[-1] + 0.8, mask)
    _draw_tree(left, tree, places, lines, tops)
    _draw_key(left, tree, tops[-1])
    _draw_mask(right, tree, label)
    place: dict[str, Any] = {"x": BORDER / figure.get_figwidth(), "y": 1 - 0.1 / figure.get_figheight(), "ha": "left"}
    figure.suptitle(_drawable(visible(title)), **place, fontsize=11, parse_math=False)
    return figure


def _canvas(wide: float, high: float, mask: float) -> tuple[Figure, Axes, Axes]:
    """A figure with axes of wide x high for the tree, and square ones for the mask beside it, or below a wide tree."""
    if wide <= MOST_BESIDE:
        width, height = wide + mask + TICKS + 3 * BORDER, max(high, mask) + TICKS + TITLE
        x, y = width - BORDER - mask, height - TITLE - mask
    else:
        width, height = wide + 2 * BORDER, high + mask + TICKS + 2 * TITLE
        x, y = BORDER + TICKS, TICKS
    figure = Figure(figsize=(width, height), dpi=110)
    left = figure.add_axes((BORDER / width, 1 - (TITLE + high) / height, wide / width, high / height))
    right = figure.add_axes((x / width, y / height, mask / width, mask / height))
    left.set(xlim=(0, wide), ylim=(high, 0))
    return figure, left, right


def _places(tree: Tree) -> list[Place]:
    """What continues stands to the right, what hangs stands below; a further root begins a row of its own."""
    places: dict[int, Place] = {}
    for root in children(tree, None)[1]:
        _place(tree, root, Place(0, 1 + max((place.row for place in places.values()), default=-1)), places)
    return [places[index] for index in range(len(tree.nodes))]


def _place(tree: Tree, index: int, place: Place, places: dict[int, Place]) -> int:
    """Place a node and all below it; returns the first free column to the right."""
    places[index] = place
    hanging, straight = children(tree, index)
    free = place.column
    for child in hanging:
        free = _place(tree, child, Place(free, place.row + 1), places)
    free = max(free, place.column + 1)
    for child in straight:
        free = _place(tree, child, Place(free, place.row), places)
    return free


def _tops(places: Sequence[Place], lines: Sequence[list[str]]) -> list[float]:
    """Upper edge of every row, and of what follows the last; a row is as high as its fullest box."""
    tops = [0.0]
    for row in range(1 + max(place.row for place in places)):
        most = max(len(text) for text, place in zip(lines, places, strict=True) if place.row == row)
        tops.append(tops[-1] + LINE * (most + 1) + GAP)
    return tops


def _lines(tree: Tree, index: int, label: Label) -> list[str]:
    node = tree.nodes[index]
    text = textwrap.wrap(_drawable(node_text(node, label)), 17) or [""]
    if len(text) > MOST_LINES:
        text = [*text[: MOST_LINES - 1], text[MOST_LINES - 1][:15] + " …"]
    weight = [f"loss weight {total_weight(node):.3f}"] if node.weight else []
    hides = [hidden(node)] if node.hides else []
    return [names(tree)[index], *text, f"positions {positions(tree, index)}", *weight, *hides]


def _draw_tree(
    axes: Axes, tree: Tree, places: Sequence[Place], lines: Sequence[list[str]], tops: Sequence[float]
) -> None:
    axes.axis("off")
    axes.set_title("The tree", fontsize=9, loc="left")
    most = max(total_weight(node) for node in tree.nodes) or 1.0
    for node, place, text in zip(tree.nodes, places, lines, strict=True):
        x, y, high = place.column * COLUMN, tops[place.row], LINE * (len(text) + 1)
        if node.parent is not None:
            _draw_edge(axes, places[node.parent], place, tops)
        box = FancyBboxPatch((x, y), BOX, high, boxstyle="round,pad=0,rounding_size=0.08", zorder=2, clip_on=False)
        box.set(facecolor=_blend(node.kind, 0.12 + 0.5 * total_weight(node) / most), edgecolor=COLOURS[node.kind])
        axes.add_patch(box)
        style: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 7, "zorder": 3, "parse_math": False}
        for at, line in enumerate(text):
            axes.text(x + BOX / 2, y + LINE * (at + 0.5), line, fontweight="normal" if at else "bold", **style)


def _draw_edge(axes: Axes, parent: Place, child: Place, tops: Sequence[float]) -> None:
    """To the right at the height of the first line; downwards from the lower edge, with a bend to a further column."""
    x, y = [column * COLUMN + BOX / 2 for column in (parent.column, child.column)], [tops[child.row] + LINE] * 2
    if parent.row != child.row:
        bend = tops[child.row] - GAP / 2
        x, y = [x[0], x[0], x[1], x[1]], [tops[parent.row], bend, bend, tops[child.row]]
    axes.plot(x, y, color="0.35", linewidth=1.3, zorder=1)


def _draw_key(axes: Axes, tree: Tree, top: float) -> None:
    present = {node.kind for node in tree.nodes}
    patches = [Patch(color=_blend(kind, 0.75), label=str(kind)) for kind in COLOURS if kind in present]
    style: dict[str, Any] = {"fontsize": 8, "frameon": False, "borderaxespad": 0, "borderpad": 0, "columnspacing": 1.2}
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, top), "bbox_transform": axes.transData}
    axes.legend(handles=patches, ncols=len(patches), **style, **place)
    axes.text(0, top + 0.3, NOTE, fontsize=7, va="top", color="0.25", linespacing=1.4)


def _draw_mask(axes: Axes, tree: Tree, label: Label) -> None:
    flat = tree.flat
    count = len(flat.ids_N)
    colours_NC = np.array([_blend(tree.nodes[node].kind, 0.75) for node in flat.node_N])
    image_NNC = np.where(flat.visible_NN()[:, :, None], colours_NC[None, :, :], 1.0)
    axes.imshow(image_NNC, extent=(0, count, count, 0), interpolation="nearest", aspect="auto")
    if count <= MOST_TICKS:
        axes.hlines(range(count), 0, count, color="white", linewidth=0.6)
        axes.vlines(range(count), 0, count, color="white", linewidth=0.6)
    edges = [0, *(np.flatnonzero(np.diff(flat.node_N)) + 1), count]
    axes.hlines(edges, 0, count, color="0.3", linewidth=0.8)
    axes.vlines(edges, 0, count, color="0.3", linewidth=0.8)
    _draw_ticks(axes, tree, label, np.array(edges))
    axes.set_xlabel("attends to (column)", fontsize=8)
    axes.set_ylabel("token (row)", fontsize=8)
    axes.set_title(
        f"The attention mask: {count} tokens, {len(tree.nodes)} nodes; white is hidden", fontsize=9, loc="left"
    )


def _draw_ticks(axes: Axes, tree: Tree, label: Label, edges: np.ndarray) -> None:
    if edges[-1] <= MOST_TICKS:
        places = np.arange(edges[-1]) + 0.5
        texts = [shorten(_drawable(visible(label(int(token)))), 12) for token in tree.flat.ids_N]
    else:
        places, texts = (edges[:-1] + edges[1:]) / 2, [name.split(":")[0] for name in names(tree)]
    axes.set_xticks(places, texts, rotation=90, fontsize=7, parse_math=False)
    axes.set_yticks(places, texts, fontsize=7, parse_math=False)
    axes.tick_params(length=0)


def _blend(kind: Kind, strength: float) -> tuple[float, float, float]:
    """The colour of a kind, mixed with white."""
    red, green, blue = (1 - strength * (1 - channel) for channel in to_rgb(COLOURS[kind]))
    return red, green, blue


def _drawable(text: str) -> str:
    """Characters that the font lacks as boxes."""
    return "".join(char if ord(char) in _glyphs() else "□" for char in text)


@cache
def _glyphs() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont("DejaVu Sans")).get_charmap())
