import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from rim.base.tree import Kind, Node, Tree
from rim.report.figures.curve import curve_figure
from rim.report.figures.outline import tree_text
from rim.report.figures.tree import tree_cards, tree_figure

WORDS = ["Who", " has", " it", "?\n", "<b>", "<m>", "</b>", "Ann", "<end>", "$x_{$", " 漢\u2028", "Answer:", " because"]


def label(token: int) -> str:
    return WORDS[token]


def rim_tree(blocks: int, question: int = 1, cue: bool = False, memory: int = 2) -> Tree:
    """A question, blocks, and after block k an answer of weight k / blocks."""
    nodes = [Node(Kind.QUESTION, (0, 1, 2, 3) * question)]
    for block in range(blocks):
        nodes.append(Node(Kind.MEMORY, (4, *[5] * memory, 6), parent=block, readout=block + 1))
    for block in range(1, blocks + 1):
        parent = block
        if cue:
            parent = len(nodes)
            nodes.append(Node(Kind.CUE, (11,), parent=block, readout=block))
        nodes.append(Node(Kind.ANSWER, (7, 8), parent=parent, weight=block / blocks / 2, readout=block))
    return Tree(tuple(nodes))


def chain() -> Tree:
    question, step = Node(Kind.QUESTION, (0, 1, 2, 3)), Node(Kind.STEP, (7,), parent=0, weight=0.5)
    return Tree((question, step, Node(Kind.ANSWER, (7, 8), parent=1, weight=0.25)))


def two_roots() -> Tree:
    student = (
        Node(Kind.QUESTION, (0, 3)),
        Node(Kind.LATENT, (5,), parent=0),
        Node(Kind.ANSWER, (7,), parent=1, weight=1),
    )
    teacher = (
        Node(Kind.QUESTION, (0, 3)),
        Node(Kind.STEP, (7,), parent=3, weight=1),
        Node(Kind.ANSWER, (7,), parent=4),
    )
    return Tree((*student, *teacher))


def hard() -> Tree:
    """Two leaves on one block, hidden ancestors, texts that a figure could stumble over."""
    nodes = list(rim_tree(2).nodes)
    nodes[3] = Node(Kind.STEP, (9, 10, 9), parent=1, weight=0.1, readout=1, hides=frozenset({Kind.QUESTION}))
    return Tree((*nodes, Node(Kind.ANSWER, (7, 8), parent=2, weight=0.5, readout=2)))


TREES = {
    "rim": rim_tree(3),
    "eight blocks": rim_tree(8, question=40, memory=9),
    "cue": rim_tree(2, cue=True),
    "chain": chain(),
    "two roots": two_roots(),
    "hard": hard(),
    "one node": Tree((Node(Kind.QUESTION, (0,)),)),
}
each_tree = pytest.mark.parametrize("tree", TREES.values(), ids=TREES.keys())


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip("\n").split("\n")]


def test_the_trunk_runs_down_and_readouts_hang_from_their_block():
    assert lines(tree_text(rim_tree(2), label)) == lines("""
node                 positions  tokens  loss weight  text
question                   0-3       4            -  "Who has it?\\n"
block 1                    4-7       4            -  "<b><m><m></b>"
├ readout 1: answer        8-9       2        0.500  "Ann<end>"
block 2                   8-11       4            -  "<b><m><m></b>"
└ readout 2: answer      12-13       2        1.000  "Ann<end>"
""")


def test_a_cue_and_its_answer_are_one_line_of_text_and_memory_tokens_are_counted():
    assert lines(tree_text(rim_tree(2, cue=True, memory=3), label))[2:] == lines("""
block 1                    4-8       5            -  "<b><m>×3</b>"
├ readout 1: cue             9       1            -  "Answer:"
│ readout 1: answer      10-11       2        0.500  "Ann<end>"
block 2                   9-13       5            -  "<b><m>×3</b>"
└ readout 2: cue            14       1            -  "Answer:"
  readout 2: answer      15-16       2        1.000  "Ann<end>"
""")


def parted() -> Tree:
    """Two sentences with a block after each; what the first block leaves of the question hangs from it."""
    block, end = (4, 5, 5, 6), Node(Kind.ANSWER, (7, 8), parent=4, weight=0.5, readout=1)
    trunk = [
        Node(Kind.QUESTION, (0, 1)),
        Node(Kind.MEMORY, block, parent=0, readout=1),
        Node(Kind.QUESTION, (2, 3), parent=1),
        Node(Kind.MEMORY, block, parent=2, readout=2),
    ]
    return Tree((*trunk, Node(Kind.QUESTION, (2, 3), parent=1), end, replace(end, parent=3, readout=2)))


def test_the_rest_of_a_question_hangs_from_its_block_and_its_parts_run_down():
    assert lines(tree_text(parted(), label))[1:] == lines("""
question                     0-1       2            -  "Who has"
block 1                      2-5       4            -  "<b><m><m></b>"
├ question                   6-7       2            -  " it?\\n"
│ └ readout 1: answer        8-9       2        1.000  "Ann<end>"
question                     6-7       2            -  " it?\\n"
block 2                     8-11       4            -  "<b><m><m></b>"
└ readout 2: answer        12-13       2        1.000  "Ann<end>"
""")


def test_a_chain_does_not_indent_and_two_roots_stand_apart():
    assert lines(tree_text(chain(), label)) == lines("""
node      positions  tokens  loss weight  text
question        0-3       4            -  "Who has it?\\n"
step              4       1        0.500  "Ann"
answer          5-6       2        0.500  "Ann<end>"
""")
    parts = tree_text(two_roots(), label).split("\n\n")
    assert [[line.split()[0] for line in part.split("\n")] for part in parts] == [
        ["node", "question", "latent", "answer"],
        ["question", "step", "answer"],
    ]


def test_what_a_leaf_hides_and_two_leaves_on_one_block_are_drawn():
    assert lines(tree_text(hard(), label))[3:] == lines("""
├ readout 1: step         8-10       3        0.300  "$x_{$ 漢\\u2028$x_{$" (hides question)
block 2                   8-11       4            -  "<b><m><m></b>"
├ readout 2: answer      12-13       2        1.000  "Ann<end>"
└ readout 2: answer      12-13       2        1.000  "Ann<end>"
""")


@each_tree
def test_every_node_has_one_line_that_fits(tree):
    text = [line for line in tree_text(tree, label).split("\n") if line]
    assert len(text) == 1 + len(tree.nodes)
    assert max(map(len, text)) <= 100


def test_a_long_text_keeps_both_ends():
    question = tree_text(rim_tree(2, question=40), label).split("\n")[1]
    assert '"Who has it?\\nWho' in question and "…" in question and question.endswith('?\\n"') and len(question) == 100


def sees(tree: Tree, row: int, column: int) -> bool:
    """Walk up from the row's node until the column's node is found; slow and plain."""
    node_N = [index for index, node in enumerate(tree.nodes) for _ in node.ids]
    start, target, at = node_N[row], node_N[column], node_N[row]
    while at is not None and at != target:
        at = tree.nodes[at].parent
    hides = at != start and tree.nodes[target].kind in tree.nodes[start].hides
    return at == target and column <= row and not hides


@each_tree
def test_the_mask_is_white_exactly_where_a_token_does_not_see(tree):
    mask = tree_figure(tree, label).axes[1]
    image = np.asarray(mask.images[0].get_array())
    count = sum(len(node.ids) for node in tree.nodes)
    expected = [[sees(tree, row, column) for column in range(count)] for row in range(count)]
    assert ((image < 0.999).any(-1) == np.array(expected)).all()
    # Row 0 is drawn at the top, and one unit is one token.
    assert mask.images[0].get_extent() == [0, count, count, 0]


@pytest.mark.parametrize("count", [40, 41])
def test_ticks_are_tokens_while_they_can_be_read_and_nodes_beyond(count):
    tree = Tree((Node(Kind.QUESTION, (0,) * (count - 3)), Node(Kind.MEMORY, (4, 5, 6), parent=0, readout=1)))
    mask = tree_figure(tree, label).axes[1]
    expected = ["Who"] * 37 + ["<b>", "<m>", "</b>"] if count == 40 else ["question", "block 1"]
    assert [tick.get_text() for tick in mask.get_xticklabels()] == expected
    assert [tick.get_text() for tick in mask.get_yticklabels()] == expected
    places = [0.5 + token for token in range(40)] if count == 40 else [19, 39.5]
    assert mask.get_xticks().tolist() == mask.get_yticks().tolist() == places


def boxes(figure: Figure) -> list[FancyBboxPatch]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, FancyBboxPatch)]


@each_tree
def test_boxes_do_not_overlap_and_hold_their_text(tree):
    figure = tree_figure(tree, label)
    figure.savefig(BytesIO(), format="png")
    extents = [box.get_window_extent() for box in boxes(figure)]
    assert len(extents) == len(tree.nodes)
    for at, extent in enumerate(extents):
        assert not any(extent.overlaps(other) for other in extents[:at])
        assert figure.bbox.count_contains([(extent.x0, extent.y0), (extent.x1, extent.y1)]) == 2
    texts = [text for text in figure.axes[0].texts if text.get_ha() == "center"]
    assert len(texts) >= 3 * len(tree.nodes)
    for text in texts:
        inner = text.get_window_extent()
        corners = [(inner.x0, inner.y0), (inner.x1, inner.y1)]
        assert any(extent.count_contains(corners) == 2 for extent in extents), text.get_text()


def test_boxes_stand_as_the_tree_does():
    question, one, two, left, right = (box.get_bbox() for box in boxes(tree_figure(rim_tree(2), label)))
    assert question.x0 == one.x0 == two.x0 < left.x0 == right.x0
    assert question.y0 < one.y0 < two.y0 and (one.y0, two.y0) == (left.y0, right.y0)


CARD_PIXELS, READABLE = 350, 7.5
"""Width of an image in a card of TensorBoard, and the least height of its letters (em) there."""


@pytest.mark.parametrize("name", ["rim", "eight blocks", "cue", "chain", "two roots"])
def test_cards_can_be_read_at_the_width_at_which_tensorboard_shows_them(name):
    for card in tree_cards(TREES[name], label).values():
        card.savefig(BytesIO(), format="png")
        scale = CARD_PIXELS / card.bbox.width
        (axes,) = card.axes
        hidden = [] if axes.axison else [*axes.xaxis.findobj(Text), *axes.yaxis.findobj(Text)]
        texts = [text for text in card.findobj(Text) if text.get_text() and text.get_visible() and text not in hidden]
        assert texts and min(text.get_fontsize() * card.dpi / 72 * scale for text in texts) >= READABLE
        for text in texts:
            inner = text.get_window_extent()
            assert card.bbox.count_contains([(inner.x0, inner.y0), (inner.x1, inner.y1)]) == 2, text.get_text()


def test_a_tree_of_many_blocks_stays_within_what_browsers_show():
    tall = [tree_cards(rim_tree(150), label)["tree"], tree_figure(rim_tree(150), label)]
    assert [round(figure.bbox.height) for figure in tall] == [16_000, 16_000]
    assert tall[0].get_figheight() > 120  # inches: at its full resolution it would be taller than what can be drawn


@each_tree
def test_names_beside_a_mask_do_not_overlap(tree):
    for axes in (tree_cards(tree, label)["mask"].axes[0], tree_figure(tree, label).axes[1]):
        axes.figure.savefig(BytesIO(), format="png")
        count = sum(len(node.ids) for node in tree.nodes)
        assert axes.get_xlim() == (0, count) and axes.get_ylim() == (count, 0)
        names = [tick.get_window_extent() for tick in axes.get_yticklabels()]
        assert names and not any(one.overlaps(other) for one, other in pairwise(names))


def test_the_larger_the_weight_the_darker_the_box():
    weighted = boxes(tree_figure(rim_tree(4), label))[-4:]
    light = [sum(box.get_facecolor()[:3]) for box in weighted]
    assert light == sorted(light, reverse=True) and len(set(light)) == 4


def test_the_legend_names_the_kinds_that_occur():
    legend = tree_figure(rim_tree(2, cue=True), label).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["question", "memory", "cue", "answer"]


def test_pyplot_is_not_touched():
    code = "import sys, rim.report.figures.tree, rim.report.publish; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def records() -> list[dict]:
    made = []
    for update in range(10, 101, 10):
        stage = "grounding" if update <= 60 else "refinement"
        made.append({"update": update, "stage": stage, "loss": 100 / update})
        if update % 20 == 0:
            blocks = [0.1, 0.2] if update <= 60 else [0.3, 0.4, 0.5]
            made.append({"update": update, "stage": stage, "accuracy": blocks[-1], "accuracy_by_block": blocks})
    return made


def drawn(axes) -> dict[str, list[tuple[float, float]]]:
    return {line.get_label(): [tuple(point) for point in line.get_xydata()] for line in axes.lines}


def test_the_curve_shows_every_loss_and_accuracy():
    loss, accuracy = curve_figure(records()).axes
    assert loss.get_yscale() == "log"
    points = [point for line in loss.lines[:2] for point in map(tuple, line.get_xydata())]
    assert points == [(update, 100 / update) for update in range(10, 101, 10)]
    # A loss of one stage is not joined to a loss of the next.
    assert [len(line.get_xydata()) for line in loss.lines[:2]] == [6, 4]
    lines = drawn(accuracy)
    assert lines["after the last block"] == [(20, 0.2), (40, 0.2), (60, 0.2), (80, 0.5), (100, 0.5)]
    assert lines["after block 1"] == [(20, 0.1), (40, 0.1), (60, 0.1), (80, 0.3), (100, 0.3)]
    assert lines["after block 2"] == [(20, 0.2), (40, 0.2), (60, 0.2), (80, 0.4), (100, 0.4)]


def test_a_line_parts_the_stages_and_their_names_stand_there():
    loss, accuracy = curve_figure(records()).axes
    for axes in (loss, accuracy):
        assert [line.get_xdata() for line in axes.lines if line.get_linestyle() == "--"] == [[65.0, 65.0]]
    assert [(text.get_text(), text.xy[0]) for text in loss.texts] == [("grounding", 10), ("refinement", 65.0)]


def test_a_loss_of_zero_does_not_stop_the_drawing():
    rows = records()
    rows[1]["loss"] = 0.0
    curve_figure(rows).savefig(BytesIO(), format="png")


def test_a_method_without_blocks_has_one_accuracy_line():
    rows = [{"loss": 1.0}, {"accuracy": 0.5, "accuracy_by_block": [0.5]}]
    _, axes = curve_figure([{"update": 1, "stage": "answer", **row} for row in rows]).axes
    assert drawn(axes) == {"final answer": [(1, 0.5)]}
