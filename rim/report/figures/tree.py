"""Draw an example: the tree as boxes, and its attention mask [N, N].

Axes: N tokens of the flattened tree, C colour channels. Colours are those of Okabe and Ito, which colour-blind
readers can tell apart. The drawing is laid out in inches. The trunk runs down, as in the outline, so a figure stays
narrow: TensorBoard shrinks images to a card's width of 350 pixels, whatever their height.
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

from rim.base.tree import Kind, Tree
from rim.report.figures.outline import (
    Label,
    children,
    hidden,
    names,
    node_text,
    positions,
    shorten,
    total_weight,
    visible,
)

COLOURS = {
    Kind.QUESTION: "#56B4E9",
    Kind.MEMORY: "#E69F00",
    Kind.LATENT: "#F0E442",
    Kind.STEP: "#009E73",
    Kind.CUE: "#CC79A7",
    Kind.ANSWER: "#D55E00",
}
MOST_TICKS = 40
"""Up to this many tokens the ticks of a large mask are tokens, beyond it nodes."""
LEAST_TICK = 0.1
"""Inches from one tick's name to the next."""
MOST_LINES = 9
"""Lines of text in a box; the rest is an ellipsis."""
COLUMN, BOX, GAP, LINE = 2.05, 1.8, 0.2, 0.155
"""Width of a column, width of a box in it, height between rows, height of a line of text; inches."""
WRAP = 22
"""Characters of text in a line of a box."""
BORDER, TITLE, TICKS, KEY = 0.15, 0.7, 0.9, 1.0
"""Room at the edges, above for titles, beside the mask for its labels, and below the tree for its key; inches."""
CARD, CARD_DPI, DPI = 4.2, 200, 110
"""Width of a figure that can be read in a card of TensorBoard, in inches; its resolution, and that of a file."""
MOST_PIXELS = 16_000
"""Height beyond which browsers refuse an image; a taller figure is drawn at a lower resolution."""
NOTE = (
    "Each token sees the tokens before it on its own path back to\n"
    "the root, and none on another path. Positions count along a\n"
    "path, so branches share them. The darker a box, the larger\n"
    "its share of the loss."
)


class Place(NamedTuple):
    """Where a node stands: columns to the right, rows downwards."""

    column: int
    row: int


def tree_cards(tree: Tree, label: Label) -> dict[str, Figure]:
    """The tree and its mask as two figures, `tree` and `mask`, that can be read in a card of TensorBoard."""
    sketch = _Sketch.of(tree, label)
    wide = max(CARD - 2 * BORDER, sketch.wide)
    side = CARD - TICKS - 2 * BORDER
    cards = {"tree": _figure(wide + 2 * BORDER, sketch.high + TITLE, CARD_DPI)}
    _draw_tree(_axes(cards["tree"], BORDER, TITLE / 2, wide, sketch.high), tree, sketch)
    cards["mask"] = _figure(CARD, side + TICKS + TITLE, CARD_DPI)
    _draw_mask(_axes(cards["mask"], BORDER + TICKS, TITLE, side, side), tree, label)
    return cards


def tree_figure(tree: Tree, label: Label) -> Figure:
    """The tree with its mask beside it, for a file."""
    sketch = _Sketch.of(tree, label)
    side = min(6.5, max(4.0, 0.15 * len(tree.flat.ids_N)))
    wide = max(CARD - 2 * BORDER, sketch.wide)
    figure = _figure(wide + side + TICKS + 3 * BORDER, max(sketch.high, side + TICKS) + TITLE, DPI)
    _draw_tree(_axes(figure, BORDER, TITLE, wide, sketch.high), tree, sketch)
    _draw_mask(_axes(figure, wide + TICKS + 2 * BORDER, TITLE, side, side), tree, label)
    return figure


def _figure(width: float, height: float, dpi: float) -> Figure:
    return Figure(figsize=(width, height), dpi=min(dpi, MOST_PIXELS / height))


def _axes(figure: Figure, left: float, top: float, wide: float, high: float) -> Axes:
    """Axes at a place of a figure, in inches from its upper left corner."""
    width, height = figure.get_size_inches()
    return figure.add_axes((left / width, 1 - (top + high) / height, wide / width, high / height))


def _inches(axes: Axes) -> tuple[float, float]:
    extent = axes.get_window_extent()
    return extent.width / axes.figure.dpi, extent.height / axes.figure.dpi


class _Sketch(NamedTuple):
    """Where the nodes of a tree stand, their lines of text, and the upper edges of rows."""

    places: list[Place]
    lines: list[list[str]]
    tops: list[float]

    @classmethod
    def of(cls, tree: Tree, label: Label) -> "_Sketch":
        places, lines = _places(tree), [_lines(tree, index, label) for index in range(len(tree.nodes))]
        return cls(places, lines, _tops(places, lines))

    @property
    def wide(self) -> float:
        return COLUMN * max(place.column for place in self.places) + BOX

    @property
    def high(self) -> float:
        return self.tops[-1] + KEY


def _places(tree: Tree) -> list[Place]:
    """What continues stands below, what hangs stands to the right; a further root begins a row of its own."""
    places: dict[int, Place] = {}
    for root in children(tree, None)[1]:
        _place(tree, root, Place(0, 1 + max((place.row for place in places.values()), default=-1)), places)
    return [places[index] for index in range(len(tree.nodes))]


def _place(tree: Tree, index: int, place: Place, places: dict[int, Place]) -> int:
    """Place a node and its descendants; returns the first free row below."""
    places[index] = place
    hanging, straight = children(tree, index)
    free = place.row
    for child in hanging:
        free = _place(tree, child, Place(place.column + 1, free), places)
    free = max(free, place.row + 1)
    for child in straight:
        free = _place(tree, child, Place(place.column, free), places)
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
    text = textwrap.wrap(_drawable(node_text(node, label)), WRAP) or [""]
    if len(text) > MOST_LINES:
        text = [*text[: MOST_LINES - 1], text[MOST_LINES - 1][: WRAP - 2] + " …"]
    weight = [f"loss weight {total_weight(node):.3f}"] if node.weight else []
    hides = [hidden(node)] if node.hides else []
    return [names(tree)[index], *text, f"positions {positions(tree, index)}", *weight, *hides]


def _draw_tree(axes: Axes, tree: Tree, sketch: _Sketch) -> None:
    wide, high = _inches(axes)
    axes.set(xlim=(0, wide), ylim=(high, 0))
    axes.axis("off")
    axes.set_title("The tree", fontsize=9, loc="left")
    most = max(total_weight(node) for node in tree.nodes) or 1.0
    for node, place, text in zip(tree.nodes, sketch.places, sketch.lines, strict=True):
        x, y, high = place.column * COLUMN, sketch.tops[place.row], LINE * (len(text) + 1)
        if node.parent is not None:
            _draw_edge(axes, sketch.places[node.parent], place, sketch.tops)
        box = FancyBboxPatch((x, y), BOX, high, boxstyle="round,pad=0,rounding_size=0.08", zorder=2, clip_on=False)
        box.set(facecolor=_blend(node.kind, 0.12 + 0.5 * total_weight(node) / most), edgecolor=COLOURS[node.kind])
        axes.add_patch(box)
        style: dict[str, Any] = {"ha": "center", "va": "top", "fontsize": 8, "zorder": 3, "parse_math": False}
        for at, line in enumerate(text):
            axes.text(x + BOX / 2, y + LINE * (at + 0.5), line, fontweight="normal" if at else "bold", **style)
    _draw_key(axes, tree, sketch.tops[-1])


def _draw_edge(axes: Axes, parent: Place, child: Place, tops: Sequence[float]) -> None:
    """Downwards, and to the right at the height of the child's first line; boxes hide what lies behind them."""
    left, right = (place.column * COLUMN + BOX / 2 for place in (parent, child))
    high, low = (tops[place.row] + LINE for place in (parent, child))
    axes.plot([left, left, right], [high, low, low], color="0.35", linewidth=1.3, zorder=1)


def _draw_key(axes: Axes, tree: Tree, top: float) -> None:
    present = {node.kind for node in tree.nodes}
    patches = [Patch(color=_blend(kind, 0.75), label=str(kind)) for kind in COLOURS if kind in present]
    style: dict[str, Any] = {"fontsize": 8, "frameon": False, "borderaxespad": 0, "borderpad": 0, "columnspacing": 0.8}
    place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (0, top), "bbox_transform": axes.transData}
    axes.legend(handles=patches, ncols=len(patches), handlelength=1, handletextpad=0.4, **style, **place)
    axes.text(0, top + 0.25, NOTE, fontsize=8, va="top", color="0.25", linespacing=1.4)


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
        f"The attention mask: {count} tokens, {len(tree.nodes)} nodes;\nwhite is hidden", fontsize=9, loc="left"
    )


def _draw_ticks(axes: Axes, tree: Tree, label: Label, edges: np.ndarray) -> None:
    """Names of tokens where all find room, else of nodes, as many as find room."""
    room = _inches(axes)[1] / edges[-1] / LEAST_TICK  # names in the width of a token
    if edges[-1] <= MOST_TICKS and room >= 1:
        places = [token + 0.5 for token in range(edges[-1])]
        texts = [shorten(_drawable(visible(label(int(token)))), 12) for token in tree.flat.ids_N]
    else:
        places, texts = _apart(
            ((edges[:-1] + edges[1:]) / 2).tolist(), [name.split(":")[0] for name in names(tree)], 1 / room
        )
    axes.set_xticks(places, texts, rotation=90, fontsize=7, parse_math=False)
    axes.set_yticks(places, texts, fontsize=7, parse_math=False)
    axes.tick_params(length=0)


def _apart(places: Sequence[float], texts: Sequence[str], least: float) -> tuple[list[float], list[str]]:
    """Ticks in their order without those that are closer than `least` tokens to the one before."""
    kept: list[int] = []
    for at, place in enumerate(places):
        if not kept or place - places[kept[-1]] >= least:
            kept.append(at)
    return [places[at] for at in kept], [texts[at] for at in kept]


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
