"""Blocks within and before questions: packed trees and cached answers against plain texts, one for each readout."""

import copy
from math import ceil

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache

from rim.backbone.backbone import Backbone
from rim.backbone.block_states import HeldBlocks
from rim.backbone.decode import CacheEdit, Prompt, greedy
from rim.backbone.insertion import MemoryCache
from rim.backbone.selfcheck import self_check
from rim.base.tree import Kind, pad
from rim.data.encode import EncodedExample
from rim.evaluation.controls import Noise, Swap
from rim.methods.blocks import Blocks
from rim.methods.registry import build_method
from tests.models import at, config, example, stopped, tiny_backbone
from tests.numerics.literal import spelt
from tests.numerics.test_decode import NEW, generated
from tests.numerics.test_packed import FAMILIES, packed_nll

MOVED = ("before_question", "sentence_ends")
BLOCKS = 4
STOPS = {9: (3,), 5: (), 14: (2, 8)}
"""Tokens of a question to the places of its full stops."""
EXAMPLES = [stopped(example(9, (3, 2, 4), seed=0), 3), example(5, (2,), seed=1), stopped(example(14, (), seed=2), 2, 8)]
every_family = pytest.mark.parametrize(("family", "changes"), FAMILIES)
both = pytest.mark.parametrize("placement", MOVED)


def made(backbone: Backbone, placement: str, **changes: object) -> Blocks:
    method = build_method(config(blocks=BLOCKS, placement=placement, **changes), backbone.tokenizer)
    assert isinstance(method, Blocks)
    return method


def told(backbone: Backbone, of: EncodedExample, placement: str, k: int, count: int) -> list[int]:
    """The text in which the first k of some blocks stand."""
    special, question = backbone.special, of.question.tolist()
    block = [special.open, special.memory, special.memory, special.close]
    if placement == "before_question":
        return [*block * k, *question]
    cuts = [*(place + 1 for place in STOPS[len(question)]), len(question)]
    text: list[int] = []
    for place, token in enumerate(question, 1):
        text.append(token)
        text += block * [cuts[ceil(n * len(cuts) / count) - 1] for n in range(1, k + 1)].count(place)
    return text


@both
@pytest.mark.parametrize("objective", ["grounding", "refinement"])
@every_family
@torch.no_grad()
def test_one_packed_pass_gives_the_losses_of_separate_texts(
    family: str, changes: dict, objective: str, placement: str
) -> None:
    backbone = tiny_backbone(family, **changes)
    method = made(backbone, placement)
    trees = [method.layout(of, at(objective)) for of in EXAMPLES]
    batch = pad(trees, backbone.special.pad)
    packed = packed_nll(backbone, batch)
    for row, of in enumerate(EXAMPLES):
        count = BLOCKS if objective == "refinement" else max(1, len(of.steps))
        for k in range(1, count + 1):
            target = of.answer if objective == "refinement" or k == count else of.steps[k]
            text, ids = told(backbone, of, placement, k, count), [*target.tolist(), backbone.special.end]
            logits = backbone.model(input_ids=torch.tensor([[*text, *ids]])).logits[0].log_softmax(-1)
            separate = torch.stack([-logits[len(text) - 1 + n, token] for n, token in enumerate(ids)])
            mine = packed[(batch.example_S == row) & (batch.readout_S == k)]
            assert torch.allclose(mine, separate, atol=1e-5, rtol=0)
    assert self_check(backbone, trees).difference < 1e-4


@both
@every_family
def test_every_answer_is_that_of_its_text_alone(family: str, changes: dict, placement: str) -> None:
    backbone = tiny_backbone(family, **changes)
    method = made(backbone, placement)
    for count in (BLOCKS, 2):
        answers = greedy(backbone, [method.prompt(of, blocks=count) for of in EXAMPLES], NEW)
        for of, branches in zip(EXAMPLES, answers, strict=True):
            wanted = [generated(backbone, told(backbone, of, placement, k, count)) for k in range(1, count + 1)]
            assert branches == wanted


@both
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_cue_follows_the_rest_of_the_question(family: str, placement: str) -> None:
    backbone = tiny_backbone(family)
    settings = config(blocks=BLOCKS, placement=placement)
    settings.method.answer_cue = "7 * "
    method = build_method(settings, backbone.tokenizer)
    for of, branches in zip(EXAMPLES, greedy(backbone, [method.prompt(of) for of in EXAMPLES], NEW), strict=True):
        texts = [told(backbone, of, placement, k, BLOCKS) for k in range(1, BLOCKS + 1)]
        assert branches == [generated(backbone, [*text, *spelt(backbone, "7 * ")]) for text in texts]


# ---------------------------------------------------------------- controls


@pytest.mark.parametrize("control", ["swapped", "noise"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
@torch.no_grad()
def test_controls_read_all_text_after_blocks_against_the_edited_states(family: str, control: str) -> None:
    """The reference: token by token down each readout's text; a block gives its edited states and reads nothing."""
    backbone = tiny_backbone(family)
    prompts = [made(backbone, "sentence_ends").prompt(of) for of in EXAMPLES]
    edit, kept = edits(prompts)[control], []

    def watched(blocks: HeldBlocks) -> None:
        edit(blocks)
        kept.append(copy.deepcopy(blocks.cache))

    answers = greedy(backbone, prompts, NEW, watched)
    assert answers != greedy(backbone, prompts, NEW)
    for row, branches in enumerate(answers):
        wanted = [edited(backbone, prompts[row], branch, kept[0], row) for branch in prompts[row].branches]
        assert branches == wanted


def edits(prompts: list[Prompt]) -> dict[str, CacheEdit]:
    """Every example gets the states of the next one, or noise like the states of all."""
    trunks = [prompt.final.trunk for prompt in prompts]
    return {"swapped": Swap(trunks[1:] + trunks[:1]), "noise": Noise(trunks, range(len(trunks)))}


def edited(backbone: Backbone, prompt: Prompt, branch: int, states: MemoryCache, row: int) -> list[int]:
    """An answer whose every token is read by itself; memory is not read, its columns are copied."""
    flat = prompt.trunk.flat
    way = [int((flat.node_N == branch).nonzero()[0][-1])]
    while (before := int(flat.previous_N[way[0]])) >= 0:
        way.insert(0, before)
    cache = DynamicCache()
    for place, token in enumerate(way[:-1]):
        if flat.memory_N[token]:
            for index, layer in enumerate(states.layers):
                columns = [part[row : row + 1, :, token : token + 1] for part in (layer.keys, layer.values)]
                cache.update(*columns, index)
        else:
            one(backbone, int(flat.ids_N[token]), place, cache)
    last_V, tokens = one(backbone, int(flat.ids_N[way[-1]]), len(way) - 1, cache), []
    while len(tokens) < NEW:
        last_V[list(backbone.special.memory_tokens)] = -torch.inf
        if (token := int(last_V.argmax())) == backbone.special.end:
            break
        tokens.append(token)
        last_V = one(backbone, token, len(way) - 1 + len(tokens), cache)
    return tokens


def one(backbone: Backbone, token: int, position: int, cache: DynamicCache) -> Tensor:
    """[V] logits after one more token."""
    ids, place = torch.tensor([[token]]), torch.tensor([[position]])
    return backbone.model(input_ids=ids, position_ids=place, past_key_values=cache, use_cache=True).logits[0, -1]


@pytest.mark.parametrize("sees_question", [True, False])
@pytest.mark.parametrize("cue", ["", "7"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_reading_again_changes_nothing_by_itself(family: str, cue: str, sees_question: bool) -> None:
    """Also where answers hide the question, whose last token they are read from."""
    backbone = tiny_backbone(family)
    settings = config(blocks=BLOCKS, placement="sentence_ends", readout_sees_question=sees_question)
    settings.method.answer_cue = cue
    prompts = [build_method(settings, backbone.tokenizer).prompt(of) for of in EXAMPLES]
    assert prompts[0].hides == (frozenset() if sees_question else frozenset({Kind.QUESTION}))
    assert greedy(backbone, prompts, NEW, lambda blocks: None) == greedy(backbone, prompts, NEW)


@both
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_memory_that_enters_above_layer_0_is_read_where_it_stands(family: str, placement: str) -> None:
    """In the packed pass, in separate ones, with every block and with fewer, and read again after an edit."""
    backbone = tiny_backbone(family)
    method = made(backbone, placement, insertion_layer=1)
    method.add_modules(backbone)
    trees = [method.layout(of, at(objective)) for of in EXAMPLES for objective in ("grounding", "refinement")]
    assert self_check(backbone, trees).difference < 1e-4
    prompts = [method.prompt(of) for of in EXAMPLES]
    answers = greedy(backbone, prompts, NEW)
    assert answers == [greedy(backbone, [prompt], NEW)[0] for prompt in prompts]
    for prompt, branches in zip(prompts, answers, strict=True):
        pruned = [prompt.trunk.pruned_to([branch]) for branch in prompt.branches]
        alone = [greedy(backbone, [Prompt(trunk, ends)], NEW)[0][0] for trunk, ends in pruned]
        assert branches == alone
    assert greedy(backbone, prompts, NEW, lambda blocks: None) == answers
    changed = [greedy(backbone, prompts, NEW, edit) != answers for edit in edits(prompts).values()]
    assert changed == [placement == "sentence_ends"] * 2


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_blocks_before_the_question_are_the_same_for_all_questions(family: str) -> None:
    """So there is nothing to swap, and noise with the spread of their states is no noise."""
    backbone = tiny_backbone(family)
    prompts = [made(backbone, "before_question").prompt(of) for of in EXAMPLES]
    for edit in edits(prompts).values():
        assert greedy(backbone, prompts, NEW, edit) == greedy(backbone, prompts, NEW)
