"""Swapped, noisy and mean blocks against slow and literal readings, and what they must not depend on.

Axes: B examples, K branches, S slots, N tokens, J columns, H heads, W head width, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rim.backbone.backbone import Backbone
from rim.backbone.block_states import HeldBlocks
from rim.backbone.decode import CacheEdit, Prompt, greedy
from rim.backbone.insertion import MemoryCache
from rim.base.tree import Tree
from rim.evaluation.controls import EDITED, Mean, Noise, OtherSlot, Swap, cache_edit
from rim.methods.registry import build_method
from rim.settings.checks import CONTROLS
from tests.models import Rows, config, example, tiny_backbone
from tests.numerics.test_packed import FAMILIES

NEW = 6
LENGTHS = (9, 5, 14, 38)
every_family = pytest.mark.parametrize(("family", "changes"), FAMILIES)


def prompts(backbone: Backbone, lengths: Sequence[int] = LENGTHS, cue: str = "", **memory: object) -> list[Prompt]:
    made = config(**memory)
    made.method.answer_cue = cue
    method = build_method(made, backbone.tokenizer)
    return [method.prompt(example(length, seed=length)) for length in lengths]


def trunks(made: Sequence[Prompt]) -> list[Tree]:
    return [prompt.final.trunk for prompt in made]


def moved(tree: Tree, start: int) -> Tree:
    """The same text, whose first token stands at another position."""
    return Tree((replace(tree.nodes[0], start=start), *tree.nodes[1:]), tree.count)


def first_logits(backbone: Backbone, made: Sequence[Prompt], edit: CacheEdit | None) -> list[Tensor]:
    """[K, V] logits of the first tokens of each prompt's answers."""
    found: list[Tensor] = []
    handle = backbone.register_forward_hook(lambda _, __, output: found.append(output.logits))
    greedy(backbone, made, 1, edit)
    handle.remove()
    return [*found[-1].reshape(len(made), len(made[0].branches), -1)]


# ---------------------------------------------------------------- swapped


@pytest.mark.parametrize("sees_question", [True, False])
@every_family
def test_states_of_the_same_question_cost_nothing_at_any_padding(
    family: str, changes: dict, sees_question: bool
) -> None:
    """However long the other questions are that receivers and donors are padded for."""
    backbone = tiny_backbone(family, **changes)
    for lengths in (LENGTHS, (9, 5), (5,)):
        made = prompts(backbone, lengths, readout_sees_question=sees_question)
        edit = Swap(trunks(made))
        assert greedy(backbone, made, NEW, edit) == greedy(backbone, made, NEW)
        for found, wanted in zip(first_logits(backbone, made, edit), first_logits(backbone, made, None), strict=True):
            torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-5)


@every_family
def test_states_of_the_same_question_cost_nothing_wherever_its_text_stood(family: str, changes: dict) -> None:
    """Where positions are rotations, the donor may have been read anywhere."""
    backbone = tiny_backbone(family, **changes)
    made = prompts(backbone)
    edit = Swap([moved(tree, start) for tree, start in zip(trunks(made), (0, 40, 7, 1), strict=True)])
    if family == "gpt2":  # another position is another text
        assert greedy(backbone, made, NEW, edit) != greedy(backbone, made, NEW)
        return
    assert greedy(backbone, made, NEW, edit) == greedy(backbone, made, NEW)
    for found, wanted in zip(first_logits(backbone, made, edit), first_logits(backbone, made, None), strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("cue", ["", " so it is"])
@every_family
@torch.no_grad()
def test_swapped_answers_are_those_of_a_cache_that_was_put_together_by_hand(
    family: str, changes: dict, cue: str
) -> None:
    """The reference: the donor alone in a plain pass, with its blocks where the receiver's are; these behind the
    receiver's question; then the cue and the answer, token by token. Without a cue the receiver reads the last token
    of its blocks itself."""
    backbone = tiny_backbone(family, **changes)
    made = prompts(backbone, cue=cue)
    for donor, answers in enumerate(greedy(backbone, made, NEW, Swap(trunks(made)[1:] + trunks(made)[:1])), 1):
        receiver, giver = made[donor - 1], made[donor % len(made)]
        assert answers == [by_hand(backbone, receiver, giver, branch) for branch in receiver.branches]


@pytest.mark.parametrize(("family", "changes"), [each for each in FAMILIES if each[0] != "gpt2"])
def test_readouts_of_blocks_alone_say_after_a_cue_what_the_donor_says(family: str, changes: dict) -> None:
    """Nothing of the own question is left. (With learned positions a donor is another text where the blocks stand.)"""
    backbone = tiny_backbone(family, **changes)
    made = prompts(backbone, cue=" so", readout_sees_question=False)
    others = made[1:] + made[:1]
    found = first_logits(backbone, made, Swap(trunks(others)))
    for logits, wanted in zip(found, first_logits(backbone, others, None), strict=True):
        torch.testing.assert_close(logits, wanted, atol=1e-4, rtol=1e-5)


def by_hand(backbone: Backbone, receiver: Prompt, giver: Prompt, branch: int) -> list[int]:
    flat, (text, foreign) = receiver.trunk.flat, (_text(receiver), _text(giver))
    end = int((flat.node_N == branch).nonzero()[0][-1]) + bool(receiver.cue)  # the first token that the receiver reads
    question, donor = MemoryCache(), MemoryCache()
    plain(backbone, flat.ids_N[:text], torch.arange(text), question)
    plain(backbone, giver.trunk.flat.ids_N, beside(backbone, giver, text), donor)
    for layer, other in zip(question.layers, donor.layers, strict=True):
        layer.keys = torch.cat([layer.keys, other.keys[:, :, foreign : foreign + end - text]], dim=2)
        layer.values = torch.cat([layer.values, other.values[:, :, foreign : foreign + end - text]], dim=2)
    tokens: list[int] = []
    given = [*receiver.cue] or [int(flat.ids_N[end])]
    while len(tokens) < NEW:
        logits_V = plain(backbone, given, torch.arange(end, end + len(given)), question)
        end += len(given)
        logits_V[list(backbone.special.memory_tokens)] = -torch.inf
        if (last := int(logits_V.argmax())) == backbone.special.end:
            break
        given = [last]
        tokens.append(last)
    return tokens


def beside(backbone: Backbone, prompt: Prompt, start: int) -> Tensor:
    """[N] position ids under which a trunk's blocks begin at `start`; some may be negative.

    The whole trunk is moved where positions are rotations, and the blocks alone where they are learned.
    """
    position_N, text = torch.arange(len(prompt.trunk.flat.ids_N)), _text(prompt)
    if backbone.model.config.model_type != "gpt2":
        return position_N + start - text
    return torch.cat([position_N[:text], position_N[text:] + start - text])


def _text(prompt: Prompt) -> int:
    """Tokens of a question, after which its blocks stand."""
    return int((~prompt.trunk.flat.memory_N).sum())


def plain(backbone: Backbone, ids: Sequence[int], position_Q: Tensor, cache: MemoryCache) -> Tensor:
    """[V] logits after these tokens, by the model's own masks."""
    ids_BQ = torch.tensor([[int(token) for token in ids]])
    output = backbone.model(input_ids=ids_BQ, position_ids=position_Q[None], past_key_values=cache, use_cache=True)
    return output.logits[0, -1]


# ---------------------------------------------------------------- noise


@every_family
@torch.no_grad()
def test_noise_has_mean_and_spread_of_its_slot_at_the_positions_of_the_receiver(family: str, changes: dict) -> None:
    """The reference: every reference alone with its blocks where the receiver's are, every slot by itself."""
    backbone = tiny_backbone(family, **changes)
    made, others, seeds = prompts(backbone), prompts(backbone, (7, 12, 9, 30, 4)), (5, 3, 8, 1)
    noise, kept = Noise(trunks(others), seeds), []

    def watched(blocks: HeldBlocks) -> None:
        noise(blocks)
        kept.extend(blocks.states())

    greedy(backbone, made, 1, watched)
    for row, receiver in enumerate(made):
        generator = torch.Generator().manual_seed(seeds[row])
        found = [alone(backbone, other, _text(receiver)) for other in others]
        for index, layer in enumerate(kept):
            for kind, part_BSHW in enumerate(layer):
                states_RSHW = torch.stack([layers[index][kind] for layers in found]).transpose(1, 2)
                drawn_SHW = torch.randn(states_RSHW.shape[1:], generator=generator)
                for slot, drawn_HW in enumerate(drawn_SHW):
                    mean_HW = sum(states_RSHW[:, slot]) / len(others)
                    variance_HW = sum((each - mean_HW) ** 2 for each in states_RSHW[:, slot]) / (len(others) - 1)
                    wanted_HW = mean_HW + drawn_HW * variance_HW**0.5
                    torch.testing.assert_close(part_BSHW[row, slot], wanted_HW, atol=1e-4, rtol=1e-4)


def alone(
    backbone: Backbone, prompt: Prompt, start: int, learned_N: Tensor | None = None
) -> list[tuple[Tensor, Tensor]]:
    """Keys and values [H, S, W] of a trunk's blocks, which begin at `start`, by layer.

    Args:
        learned_N: position ids in the place of these, where positions are learned.
    """
    cache, text = MemoryCache(), _text(prompt)
    position_N = beside(backbone, prompt, start)
    if learned_N is not None and backbone.model.config.model_type == "gpt2":
        position_N = learned_N
    plain(backbone, prompt.trunk.flat.ids_N, position_N, cache)
    return [(layer.keys[0, :, text:], layer.values[0, :, text:]) for layer in cache.layers]


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_phases_are_no_spread(family: str) -> None:
    """One question read at many places has one state for each slot, once its keys stand at the same positions."""
    backbone = tiny_backbone(family)
    made = prompts(backbone, (9,))
    places = [moved(trunks(made)[0], start) for start in (0, 3, 17, 60)]
    assert greedy(backbone, made, NEW, Noise(places, [0])) == greedy(backbone, made, NEW)


@pytest.mark.parametrize("placement", ["after_question", "sentence_ends"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_noise_of_an_example_depends_on_its_seed_and_not_on_its_batch(family: str, placement: str) -> None:
    backbone = tiny_backbone(family)
    made = prompts(backbone, placement=placement)
    references, seeds = trunks(made), [4, 0, 7, 2]
    together = first_logits(backbone, made, Noise(references, seeds))
    for prompt, seed, logits_KV in zip(made, seeds, together, strict=True):
        [alone_KV] = first_logits(backbone, [prompt], Noise(references, [seed]))
        torch.testing.assert_close(alone_KV, logits_KV, atol=1e-4, rtol=1e-5)
        [other_KV] = first_logits(backbone, [prompt], Noise(references, [seed + 1]))
        assert (other_KV - alone_KV).abs().max() > 1e-2


def test_noise_touches_blocks_alone() -> None:
    backbone = tiny_backbone("llama")
    made = prompts(backbone)
    seen = []

    def watched(blocks: HeldBlocks) -> None:
        before = [layer.keys.clone() for layer in blocks.cache.layers]
        Noise(trunks(made), range(4))(blocks)
        memory_BJ = torch.zeros(before[0].shape[0], before[0].shape[2], dtype=torch.bool)
        memory_BJ = memory_BJ.scatter(1, blocks.column_BS, True)
        for old, layer in zip(before, blocks.cache.layers, strict=True):
            seen.append(((old != layer.keys).any(-1).any(1), memory_BJ))

    assert greedy(backbone, made, NEW, watched) != greedy(backbone, made, NEW)
    assert not any((changed_BJ & ~memory_BJ).any() for changed_BJ, memory_BJ in seen)
    assert all(torch.equal(changed_BJ, memory_BJ) for changed_BJ, memory_BJ in seen[1:])


# ---------------------------------------------------------------- parts, other slots, means, zeros


def edited(backbone: Backbone, made: Sequence[Prompt], edit: CacheEdit) -> tuple[list, list]:
    """Keys and values [B, S, H, W] of blocks by layer, before and after an edit."""
    found: list[list] = []

    def watched(blocks: HeldBlocks) -> None:
        found.append(blocks.states())
        edit(blocks)
        found.append(blocks.states())

    greedy(backbone, made, 1, watched)
    before, after = found
    return before, after


@pytest.mark.parametrize("part", ["keys", "values"])
@every_family
def test_a_swap_of_one_part_leaves_the_other(family: str, changes: dict, part: str) -> None:
    backbone = tiny_backbone(family, **changes)
    made = prompts(backbone)
    donors = trunks(made)[1:] + trunks(made)[:1]
    _, both = edited(backbone, made, Swap(donors))
    before, after = edited(backbone, made, Swap(donors, keys=part == "keys", values=part == "values"))
    for own, found, swapped in zip(before, after, both, strict=True):
        wanted = (swapped[0], own[1]) if part == "keys" else (own[0], swapped[1])
        assert all(map(torch.equal, found, wanted))


@every_family
@torch.no_grad()
def test_every_block_gets_the_states_of_the_next_at_its_own_positions(family: str, changes: dict) -> None:
    """The reference: the trunk in plain passes, in which the next block stands where the block stands."""
    backbone = tiny_backbone(family, **changes)
    made = prompts(backbone)
    _, after = edited(backbone, made, OtherSlot(trunks(made)))
    for row, prompt in enumerate(made):
        text, blocks = _text(prompt), len(prompt.branches)
        size = (len(prompt.trunk.flat.ids_N) - text) // blocks
        for block in range(blocks):
            other = (block + 1) % blocks
            start_K = text + (torch.arange(blocks) - 1) % blocks * size
            learned_N = torch.cat([torch.arange(text), (start_K[:, None] + torch.arange(size)).flatten()])
            states = alone(backbone, prompt, text + (block - other) * size, learned_N)
            for found, wanted in zip(after, states, strict=True):
                for part_BSHW, other_HSW in zip(found, wanted, strict=True):
                    place, source = (slice(each * size, (each + 1) * size) for each in (block, other))
                    wanted_SHW = other_HSW[:, source].transpose(0, 1)
                    torch.testing.assert_close(part_BSHW[row, place], wanted_SHW, atol=1e-4, rtol=1e-4)


@every_family
@torch.no_grad()
def test_a_mean_is_that_of_each_slot_at_the_positions_of_the_receiver(family: str, changes: dict) -> None:
    backbone = tiny_backbone(family, **changes)
    made, others = prompts(backbone), prompts(backbone, (7, 12, 9))
    _, after = edited(backbone, made, Mean(trunks(others)))
    for row, receiver in enumerate(made):
        found = [alone(backbone, other, _text(receiver)) for other in others]
        for index, layer in enumerate(after):
            for kind, part_BSHW in enumerate(layer):
                wanted_HSW = sum(layers[index][kind] for layers in found) / len(others)
                torch.testing.assert_close(part_BSHW[row], wanted_HSW.transpose(0, 1), atol=1e-4, rtol=1e-4)


def test_the_mean_over_one_question_costs_nothing_for_that_question() -> None:
    backbone = tiny_backbone("llama")
    made = prompts(backbone, (9,))
    assert greedy(backbone, made, NEW, Mean(trunks(made))) == greedy(backbone, made, NEW)


def test_controls_have_their_edits_and_every_edit_has_its_words() -> None:
    backbone = tiny_backbone("llama")
    made, split = prompts(backbone), Rows(example(length, seed=length) for length in LENGTHS)
    edits = {name: cache_edit(name, [0, 2], split, lambda row: trunks(made)[row]) for name in CONTROLS}
    assert {*EDITED} == {*CONTROLS} and edits["removed"] is None
    assert edits["swapped"] == Swap([trunks(made)[row] for row in (2, 3)])
    assert edits["keys_only"] == Swap([trunks(made)[row] for row in (2, 3)], values=False)
    assert edits["values_only"] == Swap([trunks(made)[row] for row in (2, 3)], keys=False)
    assert edits["other_slot"] == OtherSlot([trunks(made)[row] for row in (0, 2)])
    assert isinstance(edits["mean"], Mean) and isinstance(edits["noise"], Noise)
    _, after = edited(backbone, made, edits["zero"])
    assert not any(part.any() for layer in after for part in layer)
