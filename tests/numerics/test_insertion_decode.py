"""Answers decoded where memory enters at layer ℓ: cached against the literal reading, controls, batches.

Axes: B examples, J cached columns, V vocabulary.
"""

import pytest
import torch
from torch import Tensor

from rim.backbone.decode import Prompt, greedy
from rim.backbone.insertion import MemoryCache
from rim.evaluation.controls import add_noise, swap
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
    assert greedy(backbone, made, NEW, edit=lambda cache, memory: None) == greedy(backbone, made, NEW)


def test_batch_equals_one_by_one_with_and_without_blocks() -> None:
    backbone = inserted("llama", 2)
    mixed = [*prompts(backbone), method(backbone).prompt(example(7, seed=7), blocks=0)]
    for made in (mixed[:3], mixed[3:]):
        assert greedy(backbone, made, NEW) == [greedy(backbone, [prompt], NEW)[0] for prompt in made]


def test_noise_changes_memory_where_it_is_and_nothing_else() -> None:
    backbone = inserted("llama", 2)
    made = prompts(backbone)
    columns: list[int] = []

    def watched(cache: MemoryCache, memory_BJ: Tensor) -> None:
        before = [layer.keys.clone() for layer in cache.layers]
        columns.extend(keys.shape[2] for keys in before)
        add_noise(cache, memory_BJ)
        for index, (old, layer) in enumerate(zip(before, cache.layers, strict=True)):
            changed_BJ = (old != layer.keys).any(-1).any(1)
            assert torch.equal(changed_BJ, memory_BJ) if index >= 2 else not changed_BJ.any()

    first = greedy(backbone, made, NEW, edit=watched)
    assert columns[0] == columns[1] == 14 and columns[2] == columns[3] == 14 + 4 * 4
    assert first == greedy(backbone, made, NEW, edit=add_noise) != greedy(backbone, made, NEW)


def test_swapped_states_are_the_donors() -> None:
    backbone = inserted("llama", 2)
    same, other = prompts(backbone, (9, 9)), prompts(backbone)
    assert greedy(backbone, same, NEW, edit=swap) == greedy(backbone, same, NEW)
    assert greedy(backbone, other, NEW, edit=swap) != greedy(backbone, other, NEW)
