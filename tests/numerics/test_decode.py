"""All readouts from one prefill equal separate generations with the library's own `generate`, token by token."""

import pytest
import torch

from rim.backbone.backbone import Backbone
from rim.backbone.block_states import HeldBlocks
from rim.backbone.decode import CacheEdit, Prompt, greedy
from rim.backbone.reading import read_once
from rim.base.tree import Kind
from rim.methods.registry import build_method
from tests.models import config, example, tiny_backbone
from tests.numerics.test_packed import FAMILIES

NEW = 6


def prompts(backbone: Backbone, lengths: tuple[int, ...] = (9, 5, 14), **changes: object) -> list[Prompt]:
    method = build_method(config(**changes), backbone.tokenizer)
    return [method.prompt(example(length, seed=length)) for length in lengths]


def generated(backbone: Backbone, text: list[int]) -> list[int]:
    """The reference: a plain prompt, no cache of ours, no mask, no batch."""
    ids = torch.tensor([text])
    out = backbone.model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=NEW,
        do_sample=False,
        eos_token_id=backbone.special.end,
        pad_token_id=backbone.special.pad,
        suppress_tokens=list(backbone.special.memory_tokens),
    )[0, len(text) :].tolist()
    return out[: out.index(backbone.special.end)] if backbone.special.end in out else out


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
def test_one_prefill_equals_separate_generations(family: str, changes: dict) -> None:
    backbone = tiny_backbone(family, **changes)
    made = prompts(backbone)
    answers = greedy(backbone, made, NEW)
    for prompt, branches in zip(made, answers, strict=True):
        ids = prompt.trunk.flat.ids_N.tolist()
        node = prompt.trunk.flat.node_N
        for branch, tokens in zip(prompt.branches, branches, strict=True):
            text = ids[: int((node == branch).nonzero()[0][-1]) + 1]
            assert tokens == generated(backbone, text)


def test_a_cue_is_given_and_not_returned() -> None:
    backbone = tiny_backbone("llama")
    plain = prompts(backbone)
    cue = (20, 31, 44)
    cued = [Prompt(p.trunk, p.branches, cue) for p in plain]
    ids = plain[0].trunk.flat.ids_N.tolist()
    assert greedy(backbone, cued, NEW)[0][-1] == generated(backbone, [*ids, *cue])


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_batch_equals_one_by_one(family: str) -> None:
    backbone = tiny_backbone(family)
    made = prompts(backbone)
    assert greedy(backbone, made, NEW) == [greedy(backbone, [prompt], NEW)[0] for prompt in made]


@pytest.mark.parametrize("sees_question", [True, False])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_reading_the_branch_point_again_changes_nothing_by_itself(family: str, sees_question: bool) -> None:
    """The controls read it again against edited states; without an edit the answers must be the ordinary ones."""
    backbone = tiny_backbone(family)
    made = prompts(backbone, readout_sees_question=sees_question)
    assert greedy(backbone, made, NEW, edit=lambda blocks: None) == greedy(backbone, made, NEW)


def test_hidden_questions_are_hidden() -> None:
    """With readout_sees_question=false, tokens after the first depend on the question through the blocks alone."""
    backbone = tiny_backbone("gpt2")
    prompt = prompts(backbone, (9,), readout_sees_question=False)[0]
    assert prompt.hides == frozenset({Kind.QUESTION})

    def blank(blocks: HeldBlocks) -> None:
        for layer in blocks.cache.layers:
            layer.keys[:, :, :9] = 1e3
            layer.values[:, :, :9] = 1e3

    cued = Prompt(prompt.trunk, prompt.branches, (20,), prompt.hides)
    edited = _after_prefill(backbone, cued, blank)
    assert edited == greedy(backbone, [cued], NEW)
    seeing = Prompt(prompt.trunk, prompt.branches, (20,))
    assert _after_prefill(backbone, seeing, blank) != greedy(backbone, [seeing], NEW)


def _after_prefill(backbone: Backbone, prompt: Prompt, blank: CacheEdit) -> list[list[list[int]]]:
    """Decode with the question's states destroyed after the prefill, without reading the branch point again."""
    from rim.backbone import decode

    trunk = decode._prefill(backbone, [prompt], read_once, blank)
    branches = decode._Branches(backbone, trunk)
    cue_BK = torch.tensor([prompt.cue]).expand(-1, len(prompt.branches))
    return decode._generate(backbone, branches, branches.feed(cue_BK), NEW)
