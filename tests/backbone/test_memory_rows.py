"""Memory rows under adapters: as peft's own in loss and gradient, without copies of the matrix, and old files load."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rim.backbone.adapters import add_adapters
from rim.backbone.backbone import Backbone
from rim.backbone.decode import greedy
from rim.backbone.fast import decoder
from rim.backbone.memory_rows import MemoryEmbedding, memory_slots
from rim.base.tree import pad
from rim.methods.registry import build_method
from rim.runs.checkpoint import CheckpointError, load_start, load_weights, save_weights
from rim.settings import Lora
from tests.families import family_backbone
from tests.former import rows_held_by_peft
from tests.models import at, config, example, tiny_backbone, with_adapters
from tests.numerics.literal import assert_same, gradients

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

TIED = [("gpt2", {}), ("llama", {})]
UNTIED = [("gpt2", {"tie_word_embeddings": False}), ("llama", {"tie_word_embeddings": False})]
BOTH = pytest.mark.parametrize(("family", "changes"), [*TIED, *UNTIED])
FORMER, NOW = "token_adapter.trainable_tokens_delta.default", "rows.weight"


def former(family: str, **changes: object) -> Backbone:
    """The model of `with_adapters`, whose rows peft holds."""
    plain = tiny_backbone(family, **changes)
    with rows_held_by_peft(plain.special.memory_tokens):
        return with_adapters(plain)


def loss(backbone: Backbone) -> Tensor:
    method = build_method(config(), backbone.tokenizer)
    trees = [method.layout(example(seed=seed), at("refinement")) for seed in (0, 1)]
    return method.losses(backbone, pad(trees, backbone.special.pad)).total


@pytest.mark.parametrize(("family", "changes"), UNTIED)
def test_losses_and_gradients_are_those_of_peft(family: str, changes: dict[str, Any]) -> None:
    ours, theirs = (made(family, changes).double() for made in (_ours, _theirs))
    assert_as_theirs(ours, theirs)


@pytest.mark.parametrize(("family", "changes"), TIED)
def test_a_tied_head_keeps_the_frozen_rows(family: str, changes: dict[str, Any]) -> None:
    """peft put the trained rows into the head as well; without that, losses and gradients are the same."""
    ours, theirs = (made(family, changes).double() for made in (_ours, _theirs))
    model = theirs.model.get_base_model()  # type: ignore[operator]
    model.set_output_embeddings(model.get_output_embeddings().token_adapter.base_layer)
    assert_as_theirs(ours, theirs)


@pytest.mark.parametrize(("family", "changes"), TIED)
def test_a_tied_run_begins_with_the_same_loss(family: str, changes: dict[str, Any]) -> None:
    ours, theirs = (made(family, changes) for made in (_fresh, _fresh_theirs))
    torch.testing.assert_close(loss(ours), loss(theirs), rtol=1e-5, atol=0)


def _ours(family: str, changes: dict[str, Any]) -> Backbone:
    return with_adapters(tiny_backbone(family, **changes))


def _theirs(family: str, changes: dict[str, Any]) -> Backbone:
    return former(family, **changes)


def _fresh(family: str, changes: dict[str, Any]) -> Backbone:
    plain = tiny_backbone(family, **changes)
    model = add_adapters(plain.model, Lora(rank=4, alpha=8, dropout=0.0), plain.special)
    return Backbone(model, plain.tokenizer, plain.special)


def _fresh_theirs(family: str, changes: dict[str, Any]) -> Backbone:
    with rows_held_by_peft(tiny_backbone(family).special.memory_tokens):
        return _fresh(family, changes)


def assert_as_theirs(ours: Backbone, theirs: Backbone) -> None:
    mine, wanted = loss(ours), loss(theirs)
    assert mine.item() == pytest.approx(wanted.item(), rel=1e-9)
    named = {name.replace(FORMER, NOW): value for name, value in gradients(theirs, wanted).items()}
    found = gradients(ours, mine)
    assert found.keys() == named.keys() and any(NOW in name for name in found)
    assert_same(found, named)


@pytest.mark.parametrize("kind", ["gemma3_text", "opt", "biogpt"])
def test_rows_are_scaled_as_the_family_scales(kind: str) -> None:
    plain = family_backbone(kind)
    ids = torch.tensor([[10, *plain.special.memory_tokens, 11]])
    wanted = plain.embed(ids).detach()
    add_adapters(plain.model, Lora(rank=4, dropout=0.0), plain.special)
    assert isinstance(plain.model.get_input_embeddings(), MemoryEmbedding)
    torch.testing.assert_close(plain.embed(ids), wanted)


def test_slots_are_the_places_among_the_memory_tokens() -> None:
    memory, slot = memory_slots(torch.tensor([[7, 3, 9], [5, 9, 9]]), torch.tensor([9, 3]))
    assert memory.tolist() == [[False, True, True], [False, True, True]]
    assert slot.tolist() == [[0, 1, 0], [0, 0, 0]]


class _Sizes(TorchDispatchMode):
    """Rows of the largest tensor that any operation gives."""

    most = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        sizes = [each.numel() for each in tree_leaves(result) if isinstance(each, Tensor)]
        if not func.is_view:
            self.most = max(self.most, *sizes, 0)
        return result


def test_nothing_of_the_size_of_the_matrix_is_made() -> None:
    embedding = MemoryEmbedding(torch.nn.Embedding(10_000, 8).requires_grad_(False), (9_997, 9_998, 9_999))
    with _Sizes() as sizes:
        embedding(torch.tensor([[4, 9_998, 9_999, 5]])).square().sum().backward()
    assert 0 < sizes.most <= 64
    assert embedding.weight.grad is None and embedding.rows.weight.grad.abs().sum(1).bool().tolist() == [
        False,
        True,
        True,
    ]  # type: ignore[union-attr]


@BOTH
def test_files_with_rows_that_peft_held_load_and_answer_the_same(
    tmp_path: Path, family: str, changes: dict[str, Any]
) -> None:
    old, path = former(family, **changes), tmp_path / "w.safetensors"
    save_weights(old, path, {})
    prompts = [build_method(config(), old.tokenizer).prompt(example(length, seed=length)) for length in (9, 5, 14)]
    for load in (load_weights, load_start):
        new = _fresh(family, changes)
        load(new, path)
        assert greedy(new, prompts, 20) == decoder("static")(new, prompts, 20) == greedy(old, prompts, 20)
    again = tmp_path / "again.safetensors"
    save_weights(new, again, {})
    load_weights(_fresh(family, changes), again)


def test_old_files_of_another_base_are_still_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(former("llama"), path, {})
    other = _fresh("llama", {})
    with torch.no_grad():
        other.model.get_input_embeddings().weight.mul_(1.5)
    with pytest.raises(CheckpointError, match="no longer give the logits that they gave when saved"):
        load_weights(other, path)


@BOTH
def test_merged_adapters_leave_the_rows_where_they_are(family: str, changes: dict[str, Any]) -> None:
    backbone = _ours(family, changes)
    ids = torch.tensor([[5, 9, *backbone.special.memory_tokens, 40]])
    with torch.no_grad():
        before = backbone.model(input_ids=ids).logits
        merged = backbone.model.merge_and_unload()  # type: ignore[operator]
        torch.testing.assert_close(merged(input_ids=ids).logits, before, rtol=1e-4, atol=1e-4)
