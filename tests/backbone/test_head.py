"""Logits made a chunk at a time give the losses and gradients of whole logits, in less memory.

Axes: S supervised tokens, D width, V vocabulary.
"""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rim.backbone import head
from rim.backbone.backbone import Backbone
from rim.backbone.head import find_head
from rim.backbone.tokenizer import Slots
from rim.base.tree import TreeBatch, pad
from rim.methods.method import Losses, Method
from rim.methods.registry import build_method
from tests.families import DENSE, EXPERTS, family_backbone
from tests.models import at, config, example, tiny_backbone, with_adapters

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

V, ROWS = 300, 4
"""Logits of a token, and rows of a chunk: the batches below have several times as many supervised tokens."""
Gradients = dict[str, Tensor]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many chunks of few rows."""
    monkeypatch.setattr(head, "LOGITS", ROWS * V + V // 2)


def batch_of(method: Method, objective: str = "refinement") -> TreeBatch:
    """Three examples of different lengths."""
    examples = [example(5 + seed, seed=seed) for seed in range(3)]
    return pad([method.layout(each, at(objective)) for each in examples], 0)


def learned(backbone: Backbone, method: Method, batch: TreeBatch) -> tuple[Losses, Gradients]:
    """Losses of a batch, and gradients by name."""
    backbone.zero_grad()
    losses = method.losses(backbone, batch)
    losses.total.backward()
    return losses, {name: p.grad.clone() for name, p in backbone.named_parameters() if p.grad is not None}


def assert_same(backbone: Backbone, method: Method, batch: TreeBatch, close: float = 1e-5) -> None:
    """In chunks as whole; differences of a gradient are relative to the largest of all."""
    assert backbone.head is None
    whole, expected = learned(backbone, method, batch)
    backbone.split_head()
    assert backbone.head is not None and len(batch.target_S) > 2 * ROWS, "several chunks"
    chunked, found = learned(backbone, method, batch)
    assert torch.allclose(chunked.total, whole.total, rtol=close)
    assert torch.allclose(chunked.nll_S, whole.nll_S, rtol=close, atol=close)
    assert found.keys() == expected.keys()
    largest = max(gradient.abs().max().item() for gradient in expected.values())
    assert max((found[name] - expected[name]).abs().max().item() for name in found) < close * largest


@pytest.mark.parametrize("kind", (*DENSE, *EXPERTS))
def test_every_family(kind: str) -> None:
    """With what a family does to its logits, in training mode without dropout."""
    backbone = family_backbone(kind)
    backbone.eval()
    method = build_method(config(), backbone.tokenizer)
    assert_same(backbone, method, batch_of(method))


CASES: dict[str, dict[str, Any]] = {
    "gpt2, tied": {"family": "gpt2"},
    "gpt2, untied": {"family": "gpt2", "tie_word_embeddings": False},
    "llama, untied": {"family": "llama", "tie_word_embeddings": False},
    "capped": {"family": "gemma2", "attention": "eager", "final_logit_softcapping": 2.0},
    "scaled": {"family": "granite", "logits_scaling": 3.0},
    "with a bias": {"family": "phi", "tie_word_embeddings": False},
}


@pytest.mark.parametrize("adapters", [False, True], ids=["full", "lora"])
@pytest.mark.parametrize("case", CASES)
def test_full_and_lora_in_fp32_and_bf16(case: str, adapters: bool) -> None:
    backbone = tiny_backbone(**CASES[case])
    if adapters:
        backbone = with_adapters(backbone)
    method = build_method(config(), backbone.tokenizer)
    assert_same(backbone, method, batch_of(method))
    backbone.head = None
    with torch.autocast("cpu", torch.bfloat16):
        assert_same(backbone, method, batch_of(method), close=1e-2)


@pytest.mark.parametrize(
    ("variant", "objective"),
    [("codi", "distillation"), ("coconut", "latent"), ("looped", "refinement"), ("cot", "chain")],
)
def test_every_way_of_reading(variant: str, objective: str) -> None:
    """Passes through latents and loops, with states of pairs among what is wanted."""
    chosen = config(variant)
    backbone = tiny_backbone("llama", slots=Slots.of(chosen))
    method = build_method(chosen, backbone.tokenizer)
    method.add_modules(backbone)
    assert_same(backbone, method, batch_of(method, objective))


def test_memory_that_enters_above_layer_0() -> None:
    backbone = tiny_backbone("llama")
    method = build_method(config(insertion_layer=1), backbone.tokenizer)
    method.add_modules(backbone)
    assert backbone.insertion is not None
    assert_same(backbone, method, batch_of(method))


class Largest(TorchDispatchMode):
    """Most rows of V numbers that any tensor has, of those that are made inside."""

    rows = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        sizes = [each.shape for each in tree_leaves(made) if isinstance(each, Tensor) and each.ndim > 1]
        self.rows = max([self.rows, *(size[:-1].numel() for size in sizes if size[-1] == V)])
        return made


def test_no_more_than_a_chunk_of_logits_is_held() -> None:
    """Not in the forward pass, not in the backward pass, nor in between; the matrix itself has D rows."""
    backbone = tiny_backbone("gpt2")
    method = build_method(config(), backbone.tokenizer)
    batch, saved = batch_of(method), []

    def keep(tensor: Tensor) -> Tensor:
        saved.append(tensor.numel() if tensor.shape[-1:] == (V,) else 0)
        return tensor

    held = []
    for _ in range(2):
        with Largest() as largest, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            method.losses(backbone, batch).total.backward()
        held.append((largest.rows, max(saved) // V))
        saved.clear()
        backbone.split_head()
    s, d = len(batch.target_S), backbone.width
    assert s > d > ROWS and held == [(s, s), (d, d)]


@torch.no_grad()
def test_losses_alone() -> None:
    """Without gradients nothing is made twice, and the losses are the same."""
    backbone = tiny_backbone("gpt2")
    method = build_method(config(), backbone.tokenizer)
    whole = method.losses(backbone, batch_of(method))
    backbone.split_head()
    assert torch.allclose(method.losses(backbone, batch_of(method)).nll_S, whole.nll_S, rtol=1e-5, atol=1e-5)


def test_one_chunk_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small vocabularies pay nothing; several chunks are made once more in the backward pass."""
    backbone = tiny_backbone("gpt2")
    backbone.split_head()
    method = build_method(config(), backbone.tokenizer)
    batch, calls = batch_of(method), []
    backbone.model.lm_head.register_forward_hook(lambda _, given, __: calls.append(given[0].shape[-2]))

    def rows() -> list[int]:
        calls.clear()
        method.losses(backbone, batch).total.backward()
        return [size for size in calls if size]  # the pass itself makes logits of no token

    s = len(batch.target_S)
    sizes = [ROWS] * (s // ROWS) + [s % ROWS] * (s % ROWS > 0)
    assert sorted(rows()) == sorted(2 * sizes)
    monkeypatch.setattr(head, "LOGITS", s * V)
    assert rows() == [s]


def test_logits_that_depend_on_more_than_states_are_made_whole() -> None:
    backbone = tiny_backbone("gpt2")

    def shifted(_: Any, __: Any, named: dict[str, Any], output: Any) -> Any:
        if named.get("input_ids") is not None:
            output.logits = output.logits * 2
        return output

    backbone.model.register_forward_hook(shifted, with_kwargs=True)
    method = build_method(config(), backbone.tokenizer)
    whole, expected = learned(backbone, method, batch_of(method))
    backbone.split_head()
    assert backbone.head is None
    same, found = learned(backbone, method, batch_of(method))
    assert torch.equal(same.total, whole.total) and all(torch.equal(found[name], expected[name]) for name in found)


def test_finding_the_head_leaves_the_model_as_it_was() -> None:
    model = family_backbone("gpt2").model
    noise, hooks = torch.get_rng_state(), len(model.transformer._forward_hooks)
    assert find_head(model) is not None
    assert model.training and torch.equal(torch.get_rng_state(), noise)
    assert len(model.transformer._forward_hooks) == hooks and model.transformer is not None
