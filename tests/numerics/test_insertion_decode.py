"""Answers decoded where memory enters at layer ℓ: cached against the literal reading, controls, batches.

Axes: B examples, S slots, J cached columns.
"""

import pytest
import torch

from rim.backbone.block_states import HeldBlocks
from rim.backbone.decode import Prompt, greedy
from rim.evaluation.controls import Noise, Swap
from tests.models import example
from tests.numerics.inserted import (
    FAMILIES,
    NEW,
    continued,
    inserted,
    method,
    prompts,
)


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
def test_cached_branches_are_the_literal_continuations(family: str, changes: dict) -> None:
    backbone = inserted(family, 2, **changes)
    made = prompts(backbone, blocks=2)
    for prompt, branches in zip(made, greedy(backbone, made, NEW), strict=True):
        for branch, tokens in zip(prompt.branches, branches, strict=True):
            assert tokens == continued(backbone, prompt, branch, 2)


@pytest.mark.parametrize("sees_question", [True, False])
@pytest.mark.parametrize("cue", [(), (20, 31)])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_reading_the_branch_point_again_changes_nothing_by_itself(family: str, cue: tuple, sees_question: bool) -> None:
    """Without a cue that pass holds memory alone, and nothing below ℓ but padding."""
    backbone = inserted(family, 2)
    made = [Prompt(p.trunk, p.branches, cue, p.hides) for p in prompts(backbone, readout_sees_question=sees_question)]
    assert greedy(backbone, made, NEW, edit=lambda blocks: None) == greedy(backbone, made, NEW)


def test_batch_equals_one_by_one_with_and_without_blocks() -> None:
    backbone = inserted("llama", 2)
    mixed = [*prompts(backbone), method(backbone).prompt(example(7, seed=7), blocks=0)]
    for made in (mixed[:3], mixed[3:]):
        assert greedy(backbone, made, NEW) == [greedy(backbone, [prompt], NEW)[0] for prompt in made]


def test_noise_changes_memory_where_it_is_and_nothing_else() -> None:
    backbone = inserted("llama", 2)
    made = prompts(backbone)
    noise = Noise([prompt.trunk for prompt in made], range(3))
    columns: list[int] = []

    def watched(blocks: HeldBlocks) -> None:
        before = [layer.keys.clone() for layer in blocks.cache.layers]
        columns.extend(keys.shape[2] for keys in before)
        noise(blocks)
        memory_BJ = torch.zeros(3, columns[-1], dtype=torch.bool).scatter(1, blocks.column_BS, True)
        for index, (old, layer) in enumerate(zip(before, blocks.cache.layers, strict=True)):
            changed_BJ = (old != layer.keys).any(-1).any(1)
            if index == 2:  # where memory enters it knows no question yet: every slot has one state
                assert not (changed_BJ & ~memory_BJ).any() and (old - layer.keys).abs().max() < 1e-5
            else:
                assert torch.equal(changed_BJ, memory_BJ) if index == 3 else not changed_BJ.any()

    first = greedy(backbone, made, NEW, edit=watched)
    assert columns[0] == columns[1] == 14 and columns[2] == columns[3] == 14 + 4 * 4
    assert first == greedy(backbone, made, NEW, edit=noise) != greedy(backbone, made, NEW)


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
def test_the_states_of_the_same_question_cost_nothing_and_those_of_another_do(family: str, changes: dict) -> None:
    backbone = inserted(family, 2, **changes)
    made = prompts(backbone)
    own = [prompt.trunk for prompt in made]
    assert greedy(backbone, made, NEW, edit=Swap(own)) == greedy(backbone, made, NEW)
    assert greedy(backbone, made, NEW, edit=Swap(own[1:] + own[:1])) != greedy(backbone, made, NEW)
