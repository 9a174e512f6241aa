"""The layouts of RiM against nodes written out by hand, and its schedules against tables worked out by hand."""

from typing import Any

import pytest

from rim.base.tree import Kind, Node, Tree
from rim.data.encode import EncodedExample
from rim.methods.memory_blocks import MemoryBlocks
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.report.figures.outline import names
from rim.settings import Config
from tests.models import at, config, example, tiny_backbone

Q, M, S, C, A = Kind.QUESTION, Kind.MEMORY, Kind.STEP, Kind.CUE, Kind.ANSWER
BACKBONE = tiny_backbone()
SPECIAL = BACKBONE.special
BLOCK = [SPECIAL.open, SPECIAL.memory, SPECIAL.memory, SPECIAL.close]


def made(blocks: int = 3, **changes: Any) -> MemoryBlocks:
    """The method with settings given as `method.name=value`, `memory.name=value` or `data.name=value`."""
    settings: Config = config(blocks=blocks)
    for path, value in changes.items():
        section, name = path.split("__")
        setattr(getattr(settings, section), name, value)
    method: Method = build_method(settings, BACKBONE.tokenizer)
    assert isinstance(method, MemoryBlocks)
    return method


def text(ids: Any) -> list[int]:
    """A supervised text and its end."""
    return [*ids.tolist(), SPECIAL.end]


def plain(tree: Tree) -> list[tuple]:
    """(kind, ids, parent, weight of the whole node, readout) of every node."""
    return [(n.kind, list(n.ids), n.parent, pytest.approx(n.weight * len(n.ids)), n.readout) for n in tree.nodes]


def trunk(of: EncodedExample, blocks: int) -> list[tuple]:
    return [(Q, of.question.tolist(), None, 0, 0), *((M, BLOCK, k, 0, k + 1) for k in range(blocks))]


# ---------------------------------------------------------------- grounding


def test_next_step_reads_the_following_step_after_each_block() -> None:
    of = example(4, (3, 2, 4))
    tree = made().layout(of, at("grounding", 0.0))
    assert plain(tree) == [
        *trunk(of, 3),
        (S, text(of.steps[1]), 1, 1, 1),
        (S, text(of.steps[2]), 2, 1, 2),
        (A, text(of.answer), 3, 1, 3),
    ]
    assert tree.count == 3


def test_same_step_reads_each_block_as_its_own_step_and_the_last_one_as_the_answer_too() -> None:
    of = example(4, (3, 2))
    tree = made(method__grounding_target="same_step").layout(of, at("grounding", 0.0))
    assert plain(tree) == [
        *trunk(of, 2),
        (S, text(of.steps[0]), 1, 1, 1),
        (S, text(of.steps[1]), 2, 1, 2),
        (A, text(of.answer), 2, 1, 2),
    ]
    assert tree.count == 3


def test_one_step_is_all_answer() -> None:
    of = example(4, (3,))
    assert plain(made().layout(of, at("grounding", 0.0))) == [*trunk(of, 1), (A, text(of.answer), 1, 1, 1)]


@pytest.mark.parametrize("target", ["next_step", "same_step"])
def test_an_example_without_steps_has_one_block(target: str) -> None:
    of = example(4, ())
    tree = made(method__grounding_target=target, method__fade_answer=True).layout(of, at("grounding", 0.9))
    assert plain(tree) == [*trunk(of, 1), (A, text(of.answer), 1, 1, 1)]
    assert tree.count == 1


def test_faded_readouts_are_left_out_and_the_answer_stays() -> None:
    """Half way, of T = 4 steps the first two have faded; steps 3 and 4 stand after blocks 2 and 3."""
    of = example(4, (3, 2, 4, 2))
    tree = made().layout(of, at("grounding", 0.5))
    assert plain(tree) == [*trunk(of, 4), (S, text(of.steps[3]), 3, 1 / 3, 3), (A, text(of.answer), 4, 1, 4)]


def test_an_answer_that_has_faded_is_not_distilled() -> None:
    of = example(4, (3, 2))
    settings = {"method__fade": "absolute", "method__fade_answer": True, "method__distillation": 1.0}
    tree = made(**settings, data__max_steps=8).layout(of, at("grounding", 0.5))
    assert (plain(tree), tree.count, tree.pairs) == (trunk(of, 2), 0, ())


@pytest.mark.parametrize(
    ("fade", "progress", "lambdas"),
    [  # T = 4; the longest chain that trains has 8 steps
        ("relative", 0.00, [1, 1, 1, 1]),
        ("relative", 0.25, [0, 1 / 2, 2 / 3, 3 / 4]),
        ("relative", 0.50, [0, 0, 1 / 3, 1 / 2]),
        ("relative", 0.75, [0, 0, 0, 1 / 4]),
        ("relative", 1.00, [0, 0, 0, 0]),
        ("absolute", 0.00, [1, 1, 1, 1]),
        ("absolute", 0.125, [0, 1 / 2, 2 / 3, 3 / 4]),
        ("absolute", 0.25, [0, 0, 1 / 3, 1 / 2]),
        ("absolute", 0.50, [0, 0, 0, 0]),
        ("none", 0.00, [1, 1, 1, 1]),
        ("none", 1.00, [1, 1, 1, 1]),
    ],
)
@pytest.mark.parametrize("fade_answer", [False, True])
def test_fading(fade: str, progress: float, lambdas: list[float], fade_answer: bool) -> None:
    method = made(method__fade=fade, method__fade_answer=fade_answer, data__max_steps=8)
    assert method.step_weights(4, progress) == pytest.approx(lambdas)
    tree = method.layout(example(4, (3, 2, 4, 2)), at("grounding", progress))
    found = {node.readout: node.weight * len(node.ids) for node in tree.nodes if node.weight}
    answer = lambdas[3] if fade_answer else 1
    wanted = {t: weight for t, weight in enumerate([*lambdas[:3], answer], 1) if weight}
    assert found == pytest.approx(wanted)
    assert tree.count == pytest.approx(sum(lambdas[:3]) + answer)


@pytest.mark.parametrize(
    ("fade", "floor", "progress", "lambdas"),
    [  # as above
        ("relative", 0.4, 0.00, [1, 1, 1, 1]),
        ("relative", 0.4, 0.25, [0.4, 1 / 2, 2 / 3, 3 / 4]),
        ("relative", 0.4, 0.50, [0.4, 0.4, 0.4, 1 / 2]),
        ("relative", 0.4, 1.00, [0.4, 0.4, 0.4, 0.4]),
        ("relative", 1.0, 1.00, [1, 1, 1, 1]),
        ("absolute", 0.4, 0.25, [0.4, 0.4, 0.4, 1 / 2]),
    ],
)
@pytest.mark.parametrize("fade_answer", [False, True])
def test_steps_fade_to_a_floor_and_stay(
    fade: str, floor: float, progress: float, lambdas: list[float], fade_answer: bool
) -> None:
    """Where the answer fades, it fades as the last step does."""
    method = made(method__fade=fade, method__fade_floor=floor, method__fade_answer=fade_answer, data__max_steps=8)
    assert method.step_weights(4, progress) == pytest.approx(lambdas)
    tree = method.layout(example(4, (3, 2, 4, 2)), at("grounding", progress))
    found = [node.weight * len(node.ids) for node in tree.nodes if node.weight]
    assert found == pytest.approx([*lambdas[:3], lambdas[3] if fade_answer else 1])
    assert tree.count == pytest.approx(sum(found))


# ---------------------------------------------------------------- refinement


def test_refinement_reads_the_answer_after_every_block_whatever_the_steps() -> None:
    for steps in ((), (3,), (3, 2, 4, 2)):
        of = example(4, steps)
        tree = made().layout(of, at("refinement", 0.7))
        answers = [(A, text(of.answer), k, k / 6, k) for k in (1, 2, 3)]
        assert plain(tree) == [*trunk(of, 3), *answers]
        assert tree.count == pytest.approx(1)


@pytest.mark.parametrize(
    ("rule", "alphas"),
    [("linear", [0.1, 0.2, 0.3, 0.4]), ("uniform", [0.25, 0.25, 0.25, 0.25]), ("last", [0, 0, 0, 1])],
)
def test_block_weights(rule: str, alphas: list[float]) -> None:
    method = made(blocks=4, method__block_weights=rule)
    assert method.block_weights() == pytest.approx(alphas)
    leaves = [node for node in method.layout(example(), at("refinement", 0.0)).nodes if node.weight]
    assert {node.readout: node.weight * len(node.ids) for node in leaves} == pytest.approx(
        {k: alpha for k, alpha in enumerate(alphas, 1) if alpha}
    )


@pytest.mark.parametrize("blocks", [2, 3, 4])
@pytest.mark.parametrize(("target", "shift"), [("next_step", 1), ("same_step", 0)])
def test_steps_in_refinement_stand_where_grounding_has_them(blocks: int, target: str, shift: int) -> None:
    """As far as there are blocks, before the answers, and with the tokens that they cost."""
    of, settings = example(4, (3, 2, 4)), {"method__grounding_target": target}
    tree = made(blocks, method__refinement_steps=0.3, **settings).layout(of, at("refinement", 0.7))
    steps = [(S, text(step), t, 0.3, t) for t, step in enumerate(of.steps[shift:], 1) if t <= blocks]
    answers = [(A, text(of.answer), k, 2 * k / (blocks * (blocks + 1)), k) for k in range(1, blocks + 1)]
    assert plain(tree) == [*trunk(of, blocks), *steps, *answers]
    assert tree.count == pytest.approx(1 + 0.3 * len(steps))
    without = made(blocks, **settings).layout(of, at("refinement", 0.7))
    assert plain(without) == [*trunk(of, blocks), *answers]
    assert tree.length - without.length == sum(len(ids) - 1 for _, ids, *_ in steps)  # ends are not read
    assert names(tree)[blocks + 1] == "readout 1: step"
    grounding = made(blocks, **settings).layout(of, at("grounding", 0.0))
    assert [node[:3] for node in plain(grounding) if node[0] == S][:blocks] == [step[:3] for step in steps]


def test_without_steps_there_are_none_in_refinement() -> None:
    of = example(4, ())
    with_steps, without = (made(method__refinement_steps=w).layout(of, at("refinement")) for w in (0.3, 0.0))
    assert plain(with_steps) == plain(without) and with_steps.count == without.count


@pytest.mark.parametrize(("rule", "count"), [("weights", 1 + 2 * 0.3), ("readouts", 3 + 2), ("examples", 1)])
def test_steps_in_refinement_count_as_readouts(rule: str, count: float) -> None:
    method = made(method__across_readouts=rule, method__refinement_steps=0.3)
    assert method.layout(example(4, (3, 2, 4)), at("refinement")).count == pytest.approx(count)


def test_the_states_before_the_last_answer_follow_the_chain_beside_steps() -> None:
    tree = made(method__refinement_steps=0.3, method__distillation=1.0).layout(example(4, (3, 2)), at("refinement"))
    (pair,) = tree.pairs
    assert (tree.nodes[pair.student].kind, tree.nodes[pair.student].readout) == (A, 3)


def test_weights_for_the_curves() -> None:
    method = made(blocks=2)
    assert method.weights_at(at("grounding", 0.5), 4) == pytest.approx(
        {"lambda/step_1": 0, "lambda/step_2": 0, "lambda/step_3": 1 / 3, "lambda/step_4": 1 / 2}
    )
    assert method.weights_at(at("grounding", 0.5), 2) == pytest.approx({"lambda/step_1": 0, "lambda/step_2": 1 / 2})
    alphas = {"alpha/block_1": 1 / 3, "alpha/block_2": 2 / 3}
    assert method.weights_at(at("refinement", 0.5), 4) == pytest.approx(alphas)
    kept = made(blocks=2, method__fade_floor=0.4, method__refinement_steps=0.3)
    assert kept.weights_at(at("refinement", 0.5), 4) == pytest.approx(
        {"lambda/step_1": 0.3, "lambda/step_2": 0.3, **alphas}
    )
    assert kept.weights_at(at("grounding", 0.5), 4) == pytest.approx(
        {"lambda/step_1": 0.4, "lambda/step_2": 0.4, "lambda/step_3": 0.4, "lambda/step_4": 1 / 2}
    )


# ---------------------------------------------------------------- how losses are divided


def test_within_a_readout_mean_or_sum() -> None:
    of = example(4, (3, 2), answer=2)
    mean, total = (made(method__within_readout=rule).layout(of, at("grounding", 0.0)) for rule in ("mean", "sum"))
    assert [node.weight for node in mean.nodes if node.weight] == pytest.approx([1 / 3, 1 / 3])
    assert [node.weight for node in total.nodes if node.weight] == [1, 1]
    assert mean.count == total.count == 2


@pytest.mark.parametrize(("rule", "count"), [("weights", 1 / 3 + 1), ("readouts", 4), ("examples", 1)])
def test_across_readouts_faded_ones_count_as_readouts(rule: str, count: float) -> None:
    tree = made(method__across_readouts=rule).layout(example(4, (3, 2, 4, 2)), at("grounding", 0.5))
    assert tree.count == pytest.approx(count)


# ---------------------------------------------------------------- what readouts see, where they stand, how they begin


def test_readouts_follow_their_block_or_the_last_one() -> None:
    of = example(2, (3,), answer=1)  # question at 0 and 1, blocks at 2 to 5 and 6 to 9, answers of 2 tokens
    after = {
        "after_block": [6, 7, 10, 11],
        "after_last_block": [10, 11, 10, 11],
    }
    for place, positions in after.items():
        flat = made(blocks=2, memory__readout_position=place).layout(of, at("refinement", 0.0)).flat
        assert flat.position_N.tolist() == [*range(10), *positions]


def test_after_the_last_block_of_grounding_is_after_block_t() -> None:
    of = example(2, (3, 2), answer=1)
    flat = made(blocks=7, memory__readout_position="after_last_block").layout(of, at("grounding", 0.0)).flat
    assert flat.position_N.tolist() == [*range(10), 10, 11, 12, 10, 11]


def test_a_hidden_question_is_hidden_from_readouts_alone() -> None:
    of = example(2, (3,), answer=1)
    settings = {"memory__readout_sees_question": False, "memory__tokens_per_block": 1}
    visible = made(blocks=2, **settings).layout(of, at("refinement", 0.0)).flat.visible_NN()
    rows = [
        "x . . . . . . . . . . .",  # question
        "x x . . . . . . . . . .",
        "x x x . . . . . . . . .",  # block 1
        "x x x x . . . . . . . .",
        "x x x x x . . . . . . .",
        "x x x x x x . . . . . .",  # block 2
        "x x x x x x x . . . . .",
        "x x x x x x x x . . . .",
        ". . x x x . . . x . . .",  # readout 1
        ". . x x x . . . x x . .",
        ". . x x x x x x . . x .",  # readout 2
        ". . x x x x x x . . x x",
    ]
    assert visible.tolist() == [[cell == "x" for cell in row.split()] for row in rows]


@pytest.mark.parametrize("place", ["after_block", "after_last_block"])
def test_the_cue_of_an_answer_is_given_and_not_supervised(place: str) -> None:
    of = example(2, (3, 2), answer=1)
    method = made(method__answer_cue="Ann has ", memory__readout_position=place)
    cue = BACKBONE.tokenizer("Ann has ", add_special_tokens=False)["input_ids"]
    tree = method.layout(of, at("grounding", 0.0))
    assert plain(tree) == [
        *trunk(of, 2),
        (S, text(of.steps[1]), 1, 1, 1),
        (C, cue, 2, 0, 0),
        (A, text(of.answer), 4, 1, 2),
    ]
    positions, node = tree.flat.position_N, tree.flat.node_N
    assert positions[node >= 4].tolist() == [*range(10, 10 + len(cue) + 2)]


# ---------------------------------------------------------------- prompts


def test_the_finished_model_is_read_after_every_block() -> None:
    of = example(4, (3, 2))
    prompt = made().prompt(of)
    assert plain(prompt.trunk) == trunk(of, 3)
    assert (prompt.branches, prompt.cue, prompt.hides, prompt.start) == ((1, 2, 3), (), frozenset(), None)
    assert made().prompt(of, blocks=5).branches == (1, 2, 3, 4, 5)


@pytest.mark.parametrize(("steps", "blocks"), [((), 1), ((3, 2, 4, 2), 4)])
def test_a_stage_of_grounding_is_read_after_block_t_alone(steps: tuple, blocks: int) -> None:
    of = example(4, steps)
    prompt = made().prompt(of, at("grounding").stage)
    assert plain(prompt.trunk) == trunk(of, blocks) and prompt.branches == (blocks,)


def test_without_blocks_the_answer_follows_the_question() -> None:
    of = example(4)
    prompt = made(memory__readout_position="after_last_block").prompt(of, blocks=0)
    assert plain(prompt.trunk) == trunk(of, 0)
    assert (prompt.branches, prompt.start) == ((0,), None)


def test_prompts_carry_cue_hidden_question_and_start() -> None:
    settings = {"memory__readout_sees_question": False, "memory__readout_position": "after_last_block"}
    prompt = made(method__answer_cue="7", **settings).prompt(example(4))
    assert prompt.cue == tuple(BACKBONE.tokenizer("7")["input_ids"])
    assert prompt.hides == frozenset({Q}) and prompt.start == 4 + 3 * 4


def test_blocks_of_one_example_are_not_changed_by_another() -> None:
    """Memory nodes are shared among examples, so no layout may write to them."""
    first = plain(made().layout(example(4), at("refinement", 0.0)))
    made(blocks=5, memory__tokens_per_block=3).layout(example(7), at("refinement", 0.0))
    assert plain(made().layout(example(4), at("refinement", 0.0))) == first
    assert isinstance(made().trunk(example(4), 2).nodes[1], Node)
