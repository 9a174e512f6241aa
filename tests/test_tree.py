"""Layout, visibility, positions and supervision of trees, against matrices written out by hand and a slow reference."""

import pickle

import numpy as np
import pytest
import torch

from rim.base.tree import Kind, Node, Tree, pad

QUESTION = frozenset({Kind.QUESTION})


def matrix(text: str) -> list[list[bool]]:
    """Rows of `x` (visible) and `.` (hidden)."""
    return [[cell == "x" for cell in line.split()] for line in text.strip().splitlines()]


def chain(*nodes: Node) -> Tree:
    """Each node continues the one before it."""
    return Tree(tuple(Node(node.kind, node.ids, index - 1 if index else None) for index, node in enumerate(nodes)))


def branching(**leaf: object) -> Tree:
    """A question of two tokens, a block of one, and two readouts of it of two and one tokens."""
    return Tree(
        (
            Node(Kind.QUESTION, [10, 11]),
            Node(Kind.MEMORY, [20], parent=0, readout=1),
            Node(Kind.STEP, [30, 31], parent=1, weight=0.5, readout=1, **leaf),  # type: ignore[arg-type]
            Node(Kind.ANSWER, [40], parent=1, weight=0.25, readout=2, **leaf),  # type: ignore[arg-type]
        ),
        count=1.5,
    )


# ---------------------------------------------------------------- the three examples of the module's docstring


def test_causal_text() -> None:
    flat = Tree((Node(Kind.QUESTION, [5, 6, 7]),)).flat
    assert flat.ids_N.tolist() == [5, 6, 7]
    assert flat.previous_N.tolist() == [-1, 0, 1]
    assert flat.position_N.tolist() == [0, 1, 2]
    assert flat.visible_NN().tolist() == matrix("""
        x . .
        x x .
        x x x
    """)


def test_trunk_and_one_leaf_is_causal_text() -> None:
    tree = chain(Node(Kind.QUESTION, [5]), Node(Kind.MEMORY, [6]), Node(Kind.ANSWER, [7]))
    flat, plain = tree.flat, Tree((Node(Kind.QUESTION, [5, 6, 7]),)).flat
    for name in ("ids_N", "previous_N", "position_N"):
        assert getattr(flat, name).tolist() == getattr(plain, name).tolist()
    assert flat.visible_NN().tolist() == matrix("""
        x . .
        x x .
        x x x
    """)


def test_two_leaves_on_one_trunk() -> None:
    nodes = (Node(Kind.QUESTION, [5]), Node(Kind.MEMORY, [6], 0), Node(Kind.STEP, [7], 1), Node(Kind.ANSWER, [8], 1))
    flat = Tree(nodes).flat
    assert flat.previous_N.tolist() == [-1, 0, 1, 1]
    assert flat.position_N.tolist() == [0, 1, 2, 2]
    assert flat.visible_NN().tolist() == matrix("""
        x . . .
        x x . .
        x x x .
        x x . x
    """)


# ---------------------------------------------------------------- longer nodes, hidden kinds, other positions


def test_nodes_of_several_tokens() -> None:
    flat = branching().flat
    assert flat.ids_N.tolist() == [10, 11, 20, 30, 31, 40]
    assert flat.node_N.tolist() == [0, 0, 1, 2, 2, 3]
    assert flat.previous_N.tolist() == [-1, 0, 1, 2, 3, 2]
    assert flat.position_N.tolist() == [0, 1, 2, 3, 4, 3]
    assert flat.weight_N.tolist() == [0, 0, 0, 0.5, 0.5, 0.25]
    assert flat.readout_N.tolist() == [0, 0, 1, 1, 1, 2]
    assert flat.visible_NN().tolist() == matrix("""
        x . . . . .
        x x . . . .
        x x x . . .
        x x x x . .
        x x x x x .
        x x x . . x
    """)


def test_hidden_kinds_are_hidden_from_that_node_alone() -> None:
    assert branching(hides=QUESTION).flat.visible_NN().tolist() == matrix("""
        x . . . . .
        x x . . . .
        x x x . . .
        . . x x . .
        . . x x x .
        . . x . . x
    """)


def test_a_node_sees_itself_though_it_hides_its_kind() -> None:
    nodes = (Node(Kind.STEP, [5]), Node(Kind.STEP, [6, 7], 0, hides=frozenset({Kind.STEP})))
    assert Tree(nodes).flat.visible_NN().tolist() == matrix("""
        x . .
        . x .
        . x x
    """)


def test_what_a_parent_hides_its_child_sees() -> None:
    nodes = (Node(Kind.QUESTION, [5]), Node(Kind.CUE, [6], 0, hides=QUESTION), Node(Kind.ANSWER, [7], 1))
    assert Tree(nodes).flat.visible_NN().tolist() == matrix("""
        x . .
        . x .
        x x x
    """)


def test_start_moves_a_node_and_what_follows_it() -> None:
    nodes = (Node(Kind.QUESTION, [5, 6]), Node(Kind.CUE, [7, 8], 0, start=9), Node(Kind.ANSWER, [9], 1))
    flat = Tree(nodes).flat
    assert flat.position_N.tolist() == [0, 1, 9, 10, 11]
    assert flat.previous_N.tolist() == [-1, 0, 1, 2, 3]


def test_two_roots_do_not_see_each_other() -> None:
    flat = Tree((Node(Kind.QUESTION, [5, 6]), Node(Kind.QUESTION, [7]))).flat
    assert flat.position_N.tolist() == [0, 1, 0] and flat.previous_N.tolist() == [-1, 0, -1]
    assert not flat.visible_NN()[2, :2].any()


def path_of(tree: Tree, index: int) -> list[int]:
    """Nodes from the root to `index`, by walking up."""
    path, at = [], index
    while at is not None:
        path, at = [at, *path], tree.nodes[at].parent
    return path


@pytest.mark.parametrize("seed", range(10))
def test_random_trees_against_walking_up(seed: int) -> None:
    draw = np.random.default_rng(seed)
    kinds, nodes = list(Kind), []
    for index in range(int(draw.integers(1, 9))):
        parent = int(draw.integers(index)) if index and draw.random() < 0.8 else None
        hides = frozenset(kind for kind in kinds if draw.random() < 0.2)
        kind = kinds[draw.integers(len(kinds))]
        nodes.append(Node(kind, draw.integers(0, 99, draw.integers(1, 4)), parent, hides=hides))
    tree = Tree(tuple(nodes))
    tokens = [(index, place) for index, node in enumerate(nodes) for place in range(len(node.ids))]
    flat, visible = tree.flat, tree.flat.visible_NN()
    for row, (index, place) in enumerate(tokens):
        path = [(i, p) for i, p in tokens if i in path_of(tree, index) and (i, p) <= (index, place)]
        hidden = {i for i in path_of(tree, index)[:-1] if nodes[i].kind in nodes[index].hides}
        assert [token for token, sees in zip(tokens, visible[row], strict=True) if sees] == [
            token for token in path if token[0] not in hidden
        ]
        assert flat.position_N[row] == len(path) - 1
        assert flat.previous_N[row] == (tokens.index(path[-2]) if len(path) > 1 else -1)


# ---------------------------------------------------------------- trees that cannot be


def test_a_node_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match=r"node 1 \(answer\) of a tree has no tokens: leave the node out"):
        Tree((Node(Kind.QUESTION, [5]), Node(Kind.ANSWER, [], 0)))


@pytest.mark.parametrize("parent", [1, 2, -1])
def test_a_parent_that_does_not_stand_before_its_child_is_refused(parent: int) -> None:
    with pytest.raises(ValueError, match=rf"node 1 \(step\) names parent {parent}: a parent stands before it"):
        Tree((Node(Kind.QUESTION, [5]), Node(Kind.STEP, [6], parent), Node(Kind.STEP, [7], 0)))


def test_a_first_token_that_is_supervised_is_refused() -> None:
    with pytest.raises(ValueError, match="the first token of a tree cannot be supervised: nothing predicts it"):
        pad([Tree((Node(Kind.QUESTION, [5, 6], weight=1.0),))], 0)


# ---------------------------------------------------------------- batches


def test_padding() -> None:
    batch = pad([Tree((Node(Kind.QUESTION, [7, 8, 9]),), count=2.0), branching()], pad_id=99)
    assert batch.ids_BN.tolist() == [[7, 8, 9, 99], [10, 11, 20, 30]]
    assert batch.node_BN.tolist() == [[0, 0, 0, -1], [0, 0, 1, 2]]
    assert batch.position_BN.tolist() == [[0, 1, 2, 0], [0, 1, 2, 3]]
    assert batch.previous_BN.tolist() == [[-1, 0, 1, -1], [-1, 0, 1, 2]]
    assert batch.count == 3.5


@pytest.mark.parametrize("leaf", [{}, {"hides": QUESTION}])
def test_visibility_of_a_batch_is_that_of_its_trees_and_padding_sees_itself(leaf: dict) -> None:
    trees = [Tree((Node(Kind.QUESTION, [7, 8, 9]),)), branching(**leaf)]
    visible = pad(trees, 0).visible_BNN()
    assert visible[0].tolist() == matrix("""
        x . . .
        x x . .
        x x x .
        . . . x
    """)
    flat = trees[1].flat
    assert visible[1].tolist() == flat.visible_NN()[np.ix_(~flat.last_N, ~flat.last_N)].tolist()


def test_supervised_tokens_stand_in_the_order_of_their_predictors() -> None:
    """Leaves 2 and 3 both follow the block, so its last token (flat 2) predicts the first token of each."""
    plain = Tree((Node(Kind.QUESTION, [7]), Node(Kind.ANSWER, [8], 0, weight=1.0)))
    batch = pad([branching(), plain], 0)
    n = 4
    assert batch.source_S.tolist() == [2, 2, 3, n + 0]
    assert batch.target_S.tolist() == [30, 40, 31, 8]
    assert batch.weight_S.tolist() == [0.5, 0.25, 0.5, 1.0]
    assert batch.readout_S.tolist() == [1, 2, 1, 0]
    assert batch.example_S.tolist() == [0, 0, 0, 1]


def test_a_batch_without_supervision_has_empty_lists() -> None:
    batch = pad([Tree((Node(Kind.QUESTION, [7]),))], 0)
    assert batch.source_S.shape == batch.target_S.shape == batch.weight_S.shape == (0,)
    assert batch.source_S.dtype == batch.target_S.dtype == torch.int64


def test_a_pruned_tree_holds_the_paths_to_the_ends_and_nothing_else() -> None:
    nodes = (
        Node(Kind.QUESTION, [5]),
        Node(Kind.MEMORY, [6], 0, readout=1),
        Node(Kind.QUESTION, [7], 1),
        Node(Kind.MEMORY, [8], 2, readout=2),
        Node(Kind.QUESTION, [9], 1),
        Node(Kind.QUESTION, [3]),
    )
    tree = Tree(nodes, count=2.0)
    last, (end,) = tree.pruned_to([3])
    assert (last.nodes, last.count, end) == (nodes[:4], 2.0, 3)
    first, ends = tree.pruned_to([4, 1])
    assert first.nodes == (*nodes[:2], Node(Kind.QUESTION, [9], 1)) and ends == (2, 1)
    both, ends = tree.pruned_to((5, 0))
    assert both.nodes == (nodes[0], nodes[5]) and ends == (1, 0)
    assert tree.pruned_to(range(6)) == (tree, (0, 1, 2, 3, 4, 5))


def test_a_batch_survives_the_way_from_a_loader_worker() -> None:
    """It travels as arrays, which nobody must notice: tensors of the same types, that can be written to."""
    batch = pad([branching(), chain(Node(Kind.QUESTION, [1]), Node(Kind.ANSWER, [2]))], 0)
    again = pickle.loads(pickle.dumps(batch))
    assert vars(again).keys() == vars(batch).keys()
    for name, value in vars(batch).items():
        found = getattr(again, name)
        if not isinstance(value, torch.Tensor):
            assert found == value
            continue
        assert found.dtype == value.dtype and torch.equal(found, value), name
        found.zero_()
