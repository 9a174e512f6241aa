"""The contract that every method keeps, by name: layouts, losses, prompts and answers.

A method that is added to the table is tested without a change here; runs of training stand in `tests/training`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rim.backbone.backbone import INSERTION, Backbone
from rim.backbone.decode import Prompt
from rim.backbone.reading import Wanted
from rim.backbone.tokenizer import Slots
from rim.base.tree import Kind, Node, Tree, pad
from rim.data.encode import EncodedExample
from rim.evaluation.controls import Noise, Swap
from rim.methods.method import Method
from rim.methods.registry import build_method
from rim.settings import Config, Stage
from rim.settings.progress import Progress
from tests.models import example, stopped, tiny_backbone
from tests.variants import VARIANTS, settings

LENGTHS = [(9, (3, 2, 4), 2), (5, (2,), 1), (14, (), 3), (38, (1, 5), 2)]
"""Tokens of question, steps and answer; the last question makes the others be padded much."""
STOPS = [(3,), (), (2, 9), (4, 11, 20, 30)]
"""Places of their full stops: questions of two, one, three and five sentences."""
EXAMPLES = [stopped(example(*LENGTHS[seed], seed=seed), *stops) for seed, stops in enumerate(STOPS)]
HIDING = "memory.readout_sees_question=false"
PLACES = ("memory.readout_position=after_last_block", HIDING, "method.answer_cue=So: ")
"""Readouts that stand elsewhere, see less and begin with a cue."""
FAMILIES = ["gpt2", "llama"]
NEW = 5
"""Tokens of the answers that are compared."""
every_variant = pytest.mark.parametrize("variant", VARIANTS)
every_family = pytest.mark.parametrize("family", FAMILIES)
both_places = pytest.mark.parametrize("more", [(), PLACES], ids=["as it is", "elsewhere"])


@dataclass(frozen=True)
class Made:
    """A method and a scaled-up random model that has what the method adds."""

    method: Method
    backbone: Backbone

    @property
    def config(self) -> Config:
        return self.method.config

    def answer(self, prompts: list[Prompt], edit: Any = None) -> list[list[list[int]]]:
        return self.method.answer(self.backbone, prompts, NEW, edit)

    def prompts(self, stage: Stage | None = None, blocks: int | None = None) -> list[Prompt]:
        return [self.method.prompt(each, stage, blocks) for each in EXAMPLES]


@cache
def made(variant: str, family: str = "gpt2", more: tuple[str, ...] = ()) -> Made:
    if "memory.placement=before_question" in VARIANTS[variant]:
        more = tuple(setting for setting in more if setting != HIDING)  # refused: nobody would know the question
    config = settings(variant, *more)
    backbone = tiny_backbone(family, slots=Slots.of(config))
    method = build_method(config, backbone.tokenizer)
    method.add_modules(backbone)
    return Made(method, backbone)


def moments(stage: Stage) -> Iterator[Progress]:
    """Beginning, middle and end of a stage of one and a half epochs."""
    for update in (0, 500, 999):
        yield Progress(stage, update, 1000, 1.5 * update / 1000)


def layouts(of: Made) -> Iterator[tuple[EncodedExample, Progress, Tree]]:
    """Every example at every moment of every stage of the method's own curriculum."""
    for stage in of.config.stages:
        for progress in moments(stage):
            for each in EXAMPLES:
                yield each, progress, of.method.layout(each, progress)


def line(tree: Tree, index: int | None) -> list[Node]:
    """The nodes from the root to a node, itself included."""
    nodes: list[Node] = []
    while index is not None:
        nodes.insert(0, tree.nodes[index])
        index = tree.nodes[index].parent
    return nodes


def text(nodes: list[Node]) -> list[int]:
    return [int(token) for node in nodes for token in node.ids]


# ---------------------------------------------------------------- layouts


@both_places
@every_variant
def test_layouts_stand_on_the_question_and_teach_the_answer(variant: str, more: tuple[str, ...]) -> None:
    """Parts that the question was cut into make it whole on the way to every answer; method repeat has it again."""
    of = made(variant, more=more)
    readings = of.config.method.repeats if variant == "repeat" else 1
    for each, _, tree in layouts(of):
        assert [g for g, node in enumerate(tree.nodes) if node.parent is None] == [0]
        for leaf in (g for g, node in enumerate(tree.nodes) if node.kind == Kind.ANSWER):
            asked = [node for node in line(tree, leaf) if node.kind == Kind.QUESTION]
            assert text(asked) == each.question.tolist() * readings
        assert all(0 <= node.weight < np.inf for node in tree.nodes) and 0 < tree.count < np.inf
        answer = [*each.answer.tolist(), of.backbone.special.end]
        assert any(node.weight > 0 and text([node]) == answer for node in tree.nodes if node.kind == Kind.ANSWER)


@both_places
@every_variant
def test_a_token_sees_its_own_path_and_follows_it(variant: str, more: tuple[str, ...]) -> None:
    """Visibility, predecessors and positions of flattened layouts against a walk along the parents."""
    for _, _, tree in layouts(made(variant, more=more)):
        flat, first = tree.flat, np.cumsum([0, *(len(node.ids) for node in tree.nodes)])
        sees = np.zeros((len(tree.nodes),) * 2, dtype=bool)
        for index, node in enumerate(tree.nodes):
            sees[index, index], above = True, node.parent
            while above is not None:
                sees[index, above] = tree.nodes[above].kind not in node.hides
                above = tree.nodes[above].parent
            before = -1 if node.parent is None else first[node.parent + 1] - 1
            assert flat.previous_N[first[index]] == before and (before >= 0 or not node.weight)
            start = 0 if before < 0 else flat.position_N[before] + 1
            start = start if node.start is None else node.start
            positions = flat.position_N[first[index] : first[index + 1]]
            assert positions.tolist() == list(range(start, start + len(node.ids)))
        seen_NN = sees[flat.node_N][:, flat.node_N] & np.tri(len(flat.node_N), dtype=bool)
        assert (flat.visible_NN() == seen_NN).all()


@every_variant
def test_layouts_are_the_same_every_time_and_leave_their_example_alone(variant: str) -> None:
    """Also with random removals (more of them than by default), and whatever form of the steps was read from data."""
    often = "method.removal_smoothing=0.3"
    of = made(variant, more=(often,))
    again = build_method(settings(variant, often, "data.steps=results"), of.backbone.tokenizer)
    before = [plain(each) for each in EXAMPLES]
    for each, progress, tree in layouts(of):
        same = again.layout(each, progress)
        assert (same.count, same.pairs) == (tree.count, tree.pairs)
        assert [facts(node) for node in same.nodes] == [facts(node) for node in tree.nodes]
    assert [plain(each) for each in EXAMPLES] == before


def facts(node: Node) -> tuple:
    return (node.kind, text([node]), node.parent, node.weight, node.readout, node.hides, node.start)


def plain(of: EncodedExample) -> list[list[int]]:
    return [part.tolist() for part in (of.question, *of.steps, of.answer)]


# ---------------------------------------------------------------- prompts are what was taught


def asked(prompt: Prompt, branch: int) -> list[tuple]:
    """(token, position, kinds that it does not see) of all that an answer comes after."""
    trunk = placed(prompt.trunk, branch)
    start = trunk[-1][1] + 1 if prompt.start is None else prompt.start
    return trunk + [(token, start + n, prompt.hides) for n, token in enumerate(prompt.cue)]


def placed(tree: Tree, index: int) -> list[tuple]:
    """(token, position, kinds that it does not see) of a node's whole path."""
    found: list[tuple] = []
    for node in line(tree, index):
        start = (found[-1][1] + 1 if found else 0) if node.start is None else node.start
        found += [(int(token), start + n, node.hides) for n, token in enumerate(node.ids)]
    return found


@both_places
@every_variant
def test_every_stage_reads_answers_where_it_taught_them(variant: str, more: tuple[str, ...]) -> None:
    """Prompt, answer and end are a path of the stage's own layout, to the last position; steps come from chains."""
    of = made(variant, more=more)
    for stage in of.config.stages:
        for each in EXAMPLES:
            check_read_where_taught(of, each, stage, stage)


@both_places
@every_variant
def test_the_finished_model_is_read_as_the_last_stage_taught(variant: str, more: tuple[str, ...]) -> None:
    of = made(variant, more=more)
    last = of.config.stages[-1]
    for each in EXAMPLES:
        check_read_where_taught(of, each, last, None)
        tree = of.method.layout(each, Progress(last, 999, 1000, 1.5))
        taught_beside = tree.pairs or of.config.method.parallel_steps
        if not of.method.writes_chain() and not taught_beside:
            assert all(node.kind != Kind.STEP for node in tree.nodes)


def check_read_where_taught(of: Made, each: EncodedExample, taught: Stage, read: Stage | None) -> None:
    tree, prompt = of.method.layout(each, Progress(taught, 0, 1000, 0.0)), of.method.prompt(each, read)
    answers = [g for g, node in enumerate(tree.nodes) if node.kind == Kind.ANSWER and node.weight]
    answer = [*each.answer.tolist(), of.backbone.special.end]
    for branch in prompt.branches:
        before = asked(prompt, branch)
        paths = {g: placed(tree, g) for g in answers}
        found = {g: path[len(before) :] for g, path in paths.items() if path[: len(before)] == before}
        if of.method.writes_chain(read):
            assert found and all(reads_back(of, each, rest, read) for rest in found.values())
            continue
        start = before[-1][1] + 1 if prompt.cue or prompt.start is None else prompt.start
        wanted = [(token, start + n, prompt.hides) for n, token in enumerate(answer)]
        (leaf,) = [g for g, rest in found.items() if rest == wanted]
        assert all(node.kind != Kind.STEP for node in line(tree, leaf))


def reads_back(of: Made, each: EncodedExample, chain: list[tuple], stage: Stage | None) -> bool:
    """Whether the answer is found in a chain that the model would write, as text and by its place."""
    tokens, decode = [token for token, *_ in chain], of.backbone.tokenizer.decode
    same = of.method.answer_in(decode(tokens, skip_special_tokens=True), stage) == decode(each.answer).strip()
    return same and (stage is not None or of.method.answer_begins(tokens) == len(tokens) - len(each.answer) - 1)


# ---------------------------------------------------------------- losses


@dataclass(frozen=True)
class Taken:
    """Loss, its denominator, the token losses, and the gradient by name."""

    total: float
    count: float
    nll_S: Tensor
    gradient: dict[str, Tensor | None]


def take(of: Made, trees: list[Tree]) -> Taken:
    losses = of.method.losses(of.backbone, pad(trees, of.backbone.special.pad))
    names, parameters = zip(*of.backbone.named_parameters(), strict=True)
    gradient = torch.autograd.grad(losses.total, parameters, allow_unused=True)
    return Taken(losses.total.item(), losses.count, losses.nll_S, dict(zip(names, gradient, strict=True)))


@every_family
@every_variant
def test_losses_are_finite_and_add_up_over_examples(variant: str, family: str) -> None:
    """Whatever an example is padded to: total, count, token losses and gradient are sums over examples read alone."""
    of = made(variant, family)
    for stage in of.config.stages:
        trees = [of.method.layout(each, Progress(stage, 250, 1000, 0.4)) for each in EXAMPLES]
        whole, parts = take(of, trees), [take(of, [tree]) for tree in trees]
        assert 0 < whole.total < np.inf and bool(torch.isfinite(whole.nll_S).all())
        assert sum(part.total for part in parts) == pytest.approx(whole.total, rel=1e-5)
        assert sum(part.count for part in parts) == pytest.approx(whole.count, rel=1e-6)
        torch.testing.assert_close(torch.cat([part.nll_S for part in parts]), whole.nll_S, rtol=1e-5, atol=1e-5)
        assert not whole.nll_S.requires_grad
        check_gradients(of, whole, parts)


def check_gradients(of: Made, whole: Taken, parts: list[Taken]) -> None:
    """They add up, and reach every weight in every batch: DDP waits for all of them."""
    size = torch.stack([grad.norm() for grad in whole.gradient.values() if grad is not None]).norm()
    for name, grad in whole.gradient.items():
        assert grad is not None, f"{name} takes no part"
        alone = torch.stack([part.gradient[name] for part in parts if part.gradient[name] is not None]).sum(0)
        assert (alone - grad).norm() < 2e-5 * size, name


@every_variant
def test_what_a_method_adds_is_a_function_of_the_seed(variant: str) -> None:
    """And is drawn without touching the random numbers of anything else; an insertion copies rows, which are given."""
    of, states = made(variant), []
    for noise, seed in ((1, 0), (2, 0), (1, 7)):
        backbone = tiny_backbone(slots=Slots.of(of.config))
        torch.manual_seed(noise)
        before = torch.get_rng_state()
        build_method(settings(variant, f"run.seed={seed}"), backbone.tokenizer).add_modules(backbone)
        assert torch.equal(torch.get_rng_state(), before)
        states.append(torch.cat([torch.zeros(1), *(value.flatten() for value in backbone.extra.state_dict().values())]))
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[0], states[2]) == (of.backbone.extra.keys() <= {INSERTION})


# ---------------------------------------------------------------- answers


@every_family
@every_variant
def test_answers_do_not_depend_on_their_company(variant: str, family: str) -> None:
    """The same tokens every time, for batches of one, two and three and in any order, in every stage and at the end."""
    of = made(variant, family)
    for stage in [None, *of.config.stages]:
        prompts = of.prompts(stage)
        answers = of.answer(prompts)
        assert len({str(each) for each in answers}) >= len(EXAMPLES) / 2, (
            "answers that are all alike would show nothing"
        )
        assert of.answer(prompts) == answers
        assert of.answer(prompts[::-1]) == answers[::-1]
        for size in (1, 2, 3):
            parts = [of.answer(prompts[start : start + size]) for start in range(0, len(prompts), size)]
            assert [row for part in parts for row in part] == answers


@every_family
@every_variant
def test_cached_decoding_equals_reading_everything_again(variant: str, family: str) -> None:
    of = made(variant, family)
    for stage in [None, *of.config.stages]:
        prompts = of.prompts(stage)
        for prompt, answers in zip(prompts, of.answer(prompts), strict=True):
            assert answers == [slowly(of, prompt, branch) for branch in prompt.branches]


@torch.no_grad()
def slowly(of: Made, prompt: Prompt, branch: int) -> list[int]:
    """One answer by the definition: the trunk with all that has been written is read anew for every token."""
    special, tokens = of.backbone.special, []
    while len(tokens) < NEW:
        written = (*prompt.cue, *tokens)
        leaf = [Node(Kind.ANSWER, written, branch, 0.0, 0, prompt.hides, prompt.start)] if written else []
        tree = Tree((*prompt.trunk.nodes, *leaf))
        last = np.flatnonzero(tree.flat.node_N == (len(tree.nodes) - 1 if leaf else branch))[-1]
        batch, wanted = pad([tree], special.pad).to(of.backbone.device), torch.tensor([last], device=of.backbone.device)
        logits = of.method.reader(of.backbone)(of.backbone, batch, Wanted(wanted), None).logits_UV[0]
        logits[list(special.memory_tokens)] = -torch.inf
        if (token := int(logits.argmax())) == special.end:
            break
        tokens.append(token)
    return tokens


# ---------------------------------------------------------------- controls


@every_variant
def test_without_blocks_there_is_no_memory(variant: str) -> None:
    of = made(variant)
    for ordinary, removed in zip(of.prompts(), of.prompts(blocks=0), strict=True):
        assert all(node.kind not in (Kind.MEMORY, Kind.LATENT) for node in removed.trunk.nodes)
        assert len(removed.branches) == 1 and removed.cue == ordinary.cue
        held = any(node.kind in (Kind.MEMORY, Kind.LATENT) for node in ordinary.trunk.nodes)
        assert held == ("removed" in of.method.controls), "controls apply where there is something to control"
    assert len(of.answer(of.prompts(blocks=0))) == len(EXAMPLES)


@every_variant
def test_foreign_blocks_change_answers(variant: str) -> None:
    of = made(variant, "llama")
    prompts = of.prompts()
    ordinary, trunks = of.answer(prompts), [prompt.final.trunk for prompt in prompts]
    edits = {"swapped": Swap(trunks[1:] + trunks[:1]), "noise": Noise(trunks, range(len(trunks)))}
    for control in {*of.method.controls} & {*edits}:
        assert of.answer(prompts, edits[control]) != ordinary


@both_places
@every_family
@every_variant
def test_blocks_of_the_same_question_change_nothing(variant: str, family: str, more: tuple[str, ...]) -> None:
    """An edit reads branch points again; neither that nor equal states in the place of its own change an answer."""
    of = made(variant, family, more)
    if "swapped" not in of.method.controls:
        assert "noise" not in of.method.controls
        return
    prompts = of.prompts()
    ordinary = of.answer(prompts)
    assert of.answer(prompts, lambda blocks: None) == ordinary
    assert of.answer(prompts, Swap([prompt.final.trunk for prompt in prompts])) == ordinary
