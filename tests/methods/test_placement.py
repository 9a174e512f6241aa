"""Where blocks stand: every path of every tree against the text written out sentence by sentence."""

from itertools import pairwise
from math import ceil
from typing import Any

import pytest

from rim.backbone.tokenizer import Slots
from rim.base.tree import Kind, Tree
from rim.data.encode import EncodedExample
from rim.methods.blocks import Blocks
from rim.methods.registry import build_method
from rim.settings import Config
from rim.settings.checks import CONTROLS
from tests.models import at, config, example, stopped, tiny_backbone

BACKBONE = tiny_backbone(slots=Slots("per_slot_and_block", 2, 7))
SPECIAL = BACKBONE.special
PLACEMENTS = ("after_question", "before_question", "sentence_ends")
MOVED = PLACEMENTS[1:]
STOPS = {1: (), 2: (5,), 3: (2, 9), 4: (1, 6, 11), 5: (0, 4, 8, 14)}
"""Number of sentences to the places of their full stops, in a question of 20 tokens."""


def made(placement: str, blocks: int = 3, **changes: Any) -> Blocks:
    settings: Config = config(blocks=blocks, placement=placement)
    for path, value in changes.items():
        section, name = path.split("__")
        setattr(getattr(settings, section), name, value)
    method = build_method(settings, BACKBONE.tokenizer)
    assert isinstance(method, Blocks)
    return method


def asked(sentences: int, steps: tuple[int, ...] = (3, 2, 4)) -> EncodedExample:
    return stopped(example(20, steps), *STOPS[sentences])


def parts(sentences: int, question: list[int]) -> list[list[int]]:
    """The sentences of such a question."""
    cuts = [0, *(place + 1 for place in STOPS[sentences]), 20]
    return [question[start:stop] for start, stop in pairwise(cuts)]


def block(number: int, own: bool = False) -> list[int]:
    names = [f"<|m{number}.{slot}|>" if own else "<|m|>" for slot in (1, 2)]
    return BACKBONE.tokenizer.convert_tokens_to_ids(["<|b|>", *names, "<|/b|>"])


def told(placement: str, sentences: list[list[int]], k: int, of: int, own: bool = False) -> list[int]:
    """The reference, told from the beginning to the end: the text in which the first k of K blocks stand."""
    text: list[int] = []
    if placement == "before_question":
        for number in range(1, k + 1):
            text += block(number, own)
    for place, sentence in enumerate(sentences, 1):
        text += sentence
        for number in range(1, of + 1):
            after = {"after_question": len(sentences), "before_question": 0, "sentence_ends": None}[placement]
            after = ceil(number * len(sentences) / of) if after is None else after
            if number <= k and place == after:
                text += block(number, own)
    return text


def path(tree: Tree, node: int) -> list[int]:
    """All tokens down to the end of a node, found by their flat predecessors, which attention and positions follow."""
    flat = tree.flat
    place = int((flat.node_N == node).nonzero()[0][-1])
    way = []
    while place >= 0:
        way.insert(0, place)
        place = int(flat.previous_N[place])
    assert flat.position_N[way].tolist() == list(range(len(way)))
    assert flat.visible_NN()[way[-1]].nonzero()[0].tolist() == way
    return flat.ids_N[way].tolist()


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("sentences", STOPS)
@pytest.mark.parametrize("blocks", range(1, 8))
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_every_readout_follows_the_text_with_its_blocks_alone(
    placement: str, blocks: int, sentences: int, own: bool
) -> None:
    of = asked(sentences)
    texts = parts(sentences, of.question.tolist())
    method = made(placement, blocks, memory__tokens="per_slot_and_block" if own else "shared", data__max_steps=7)
    tree, prompt = method.layout(of, at("refinement")), method.prompt(of)
    leaves = [g for g, node in enumerate(tree.nodes) if node.weight]
    assert [tree.nodes[leaf].readout for leaf in leaves] == list(range(1, blocks + 1))
    for k, leaf, branch in zip(range(1, blocks + 1), leaves, prompt.branches, strict=True):
        before = told(placement, texts, k, blocks, own)
        assert path(tree, leaf) == [*before, *of.answer.tolist(), SPECIAL.end]
        assert path(prompt.trunk, branch) == before
    check_blocks_are_shared(tree, blocks)


def check_blocks_are_shared(tree: Tree, blocks: int) -> None:
    """Every block is one node; the rest of a question is one for each block that leaves some."""
    assert [node.readout for node in tree.nodes if node.kind == Kind.MEMORY] == list(range(1, blocks + 1))
    used = {node.parent for node in tree.nodes}
    assert all(node.weight or index in used for index, node in enumerate(tree.nodes)), "a node that nothing needs"


@pytest.mark.parametrize("target", ["next_step", "same_step"])
@pytest.mark.parametrize("steps", [(), (3,), (3, 2), (3, 2, 4), (2, 2, 2, 2, 2)])
@pytest.mark.parametrize("sentences", STOPS)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_in_grounding_the_examples_own_number_of_blocks_is_spread(
    placement: str, sentences: int, steps: tuple[int, ...], target: str
) -> None:
    of, count = asked(sentences, steps), max(1, len(steps))
    texts = parts(sentences, of.question.tolist())
    tree = made(placement, method__grounding_target=target).layout(of, at("grounding"))
    shift = 1 if target == "next_step" else 0
    wanted = [(t, of.steps[t - 1 + shift]) for t in range(1, len(steps) + 1 - shift)] + [(count, of.answer)]
    found = [path(tree, g) for g, node in enumerate(tree.nodes) if node.weight]
    assert found == [[*told(placement, texts, t, count), *ids.tolist(), SPECIAL.end] for t, ids in wanted]
    check_blocks_are_shared(tree, count)
    prompt = made(placement).prompt(of, at("grounding").stage)
    (branch,) = prompt.branches
    assert path(prompt.trunk, branch) == told(placement, texts, count, count)
    assert len(prompt.trunk.flat.ids_N) == 20 + 4 * count


@pytest.mark.parametrize("placement", MOVED)
def test_what_only_faded_readouts_would_read_is_left_out(placement: str) -> None:
    """Half way, of three steps the first has faded; so has the part of the question after its block."""
    of = asked(4)
    tree = made(placement, method__grounding_target="same_step").layout(of, at("grounding", 0.5))
    assert [node.readout for node in tree.nodes if node.weight] == [2, 3, 3]
    check_blocks_are_shared(tree, 3)
    last = made(placement, method__block_weights="last").layout(of, at("refinement"))
    assert len(last.flat.ids_N) == 20 + 3 * 4 + len(of.answer) + 1


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_pause_reads_one_text_alone(placement: str) -> None:
    of = asked(3)
    settings = config("pause", blocks=4, placement=placement)
    method = build_method(settings, BACKBONE.tokenizer)
    before = told(placement, parts(3, of.question.tolist()), 4, 4)
    prompt, tree = method.prompt(of), method.layout(of, at("answer"))
    assert prompt.trunk.flat.ids_N.size == len(before) and path(prompt.trunk, prompt.branches[0]) == before
    assert path(tree, len(tree.nodes) - 1) == [*before, *of.answer.tolist(), SPECIAL.end]
    assert tree.flat.ids_N.size == len(before) + len(of.answer) + 1


@pytest.mark.parametrize("sentences", STOPS)
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_fewer_and_more_blocks_are_spread_like_those_that_were_trained(placement: str, sentences: int) -> None:
    of = asked(sentences)
    texts = parts(sentences, of.question.tolist())
    for count in (1, 2, 6, 16):
        prompt = made(placement).prompt(of, blocks=count)
        found = [path(prompt.trunk, branch) for branch in prompt.branches]
        assert found == [told(placement, texts, k, count) for k in range(1, count + 1)]


@pytest.mark.parametrize("name", ["memory_blocks", "pause"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_without_blocks_there_is_the_question_alone(placement: str, name: str) -> None:
    of = asked(3)
    settings = config(name, placement=placement, readout_position="after_last_block")
    prompt = build_method(settings, BACKBONE.tokenizer).prompt(of, blocks=0)
    assert [node.kind for node in prompt.trunk.nodes] == [Kind.QUESTION]
    assert (path(prompt.trunk, 0), prompt.branches, prompt.start) == (of.question.tolist(), (0,), None)


@pytest.mark.parametrize("objective", ["grounding", "refinement"])
def test_one_sentence_is_laid_out_as_after_the_question(objective: str) -> None:
    of = asked(1)
    ends, after = (made(placement).layout(of, at(objective)) for placement in ("sentence_ends", "after_question"))
    plain = [[(n.kind, list(n.ids), n.parent, n.weight, n.readout) for n in tree.nodes] for tree in (ends, after)]
    assert plain[0] == plain[1]


@pytest.mark.parametrize("placement", PLACEMENTS)
def test_positions_after_the_last_block_are_those_of_the_last_readout(placement: str) -> None:
    of = asked(4)
    method = made(placement, memory__readout_position="after_last_block")
    flat = method.layout(of, at("refinement")).flat
    starts = [int(flat.position_N[flat.readout_N * (flat.weight_N > 0) == k][0]) for k in (1, 2, 3)]
    assert starts == [20 + 3 * 4] * 3 and method.prompt(of).start == 20 + 3 * 4


def test_readouts_that_hide_the_question_hide_all_its_parts() -> None:
    of = asked(3)
    tree = made("sentence_ends", memory__readout_sees_question=False).layout(of, at("refinement"))
    flat, kinds = tree.flat, [node.kind for node in tree.nodes]
    for leaf, node in enumerate(tree.nodes):
        if not node.weight:
            continue
        seen = {other for other, sees in enumerate(flat.sees_GG[leaf]) if sees}
        assert {kinds[other] for other in seen - {leaf}} == {Kind.MEMORY}
        assert len(seen) == 1 + node.readout
        parent = node.parent
        assert parent is not None and (kinds[parent] == Kind.QUESTION) == (node.readout < 3)


@pytest.mark.parametrize("sentences", [1, 3])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_the_written_chain_of_a_distillation_follows_the_plain_question(placement: str, sentences: int) -> None:
    of = asked(sentences)
    tree = made(placement, method__distillation=1.0).layout(of, at("refinement"))
    ((student, teacher),) = [(pair.student, pair.teacher) for pair in tree.pairs]
    texts, answer = parts(sentences, of.question.tolist()), [*of.answer.tolist(), SPECIAL.end]
    assert path(tree, student) == [*told(placement, texts, 3, 3), *answer]
    written = [*(token for step in of.steps for token in (*step.tolist(), *spelt("\n"))), *spelt("#### ")]
    assert path(tree, teacher) == [*of.question.tolist(), *written, *answer]
    whole_at_the_root = placement == "after_question" or (placement == "sentence_ends" and sentences == 1)
    assert sum(node.parent is None for node in tree.nodes) == (1 if whole_at_the_root else 2)


def spelt(text: str) -> list[int]:
    return BACKBONE.tokenizer(text, add_special_tokens=False)["input_ids"]


@pytest.mark.parametrize("objective", ["grounding", "refinement"])
@pytest.mark.parametrize("placement", PLACEMENTS)
def test_parallel_steps_hang_from_the_tokens_of_their_blocks(placement: str, objective: str) -> None:
    of = asked(4)
    method = made(placement, method__parallel_steps=0.3, method__block_weights="last")
    tree, texts = method.layout(of, at(objective, 0.99)), parts(4, of.question.tolist())
    single = [g for g, node in enumerate(tree.nodes) if node.kind == Kind.STEP and len(node.ids) == 1]
    wanted = []
    for t, step in enumerate(of.steps, 1):
        upto = told(placement, texts, t, 3)
        last = max(place for place, token in enumerate(upto) if token == SPECIAL.close)
        wanted += [[*upto[: last - 1 + n], int(step[n])] for n in (0, 1)]
        assert upto[last - 2] == upto[last - 1] == SPECIAL.memory
    assert [path(tree, leaf) for leaf in single] == wanted


def test_a_token_that_begins_every_text_stays_in_front_of_blocks_before_the_question() -> None:
    of = asked(3)
    tokenizer = tiny_backbone().tokenizer
    tokenizer.bos_token = tokenizer.convert_ids_to_tokens(int(of.question[0]))
    method = build_method(config(placement="before_question"), tokenizer)
    question = of.question.tolist()
    prompt = method.prompt(of, blocks=2)
    assert path(prompt.trunk, prompt.branches[1]) == [question[0], *block(1), *block(2), *question[1:]]
    assert path(prompt.trunk, prompt.branches[0]) == [question[0], *block(1), *question[1:]]


def test_blocks_that_are_the_same_in_all_examples_are_neither_swapped_nor_replaced_by_noise() -> None:
    controls = {placement: made(placement).controls for placement in PLACEMENTS}
    assert controls == {"after_question": CONTROLS, "before_question": ("removed",), "sentence_ends": CONTROLS}


def test_one_block_has_no_other_order() -> None:
    assert {*CONTROLS} - {*made("after_question", blocks=1).controls} == {"other_slot"}
