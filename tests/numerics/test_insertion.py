"""Memory that enters at layer ℓ against the literal reading: packed trees, gradients, and what layers below read.

Axes: B examples, N tokens of a path, Q tokens of a pass, P those that are no memory, D width, V vocabulary.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from rim.backbone.backbone import Backbone, Reading
from rim.backbone.decode import greedy
from rim.backbone.reading import Wanted, read_once
from rim.backbone.tokenizer import Slots
from rim.base.tree import Kind, Tree, pad
from rim.settings import ATTENTION
from tests.models import tiny_backbone
from tests.numerics.inserted import (
    FAMILIES,
    LAYERS,
    NEW,
    PLAIN,
    check_packed,
    continued,
    inserted,
    literal_nll,
    method,
    packed_nll,
    prompts,
    trees,
    with_insertion,
)
from tests.numerics.literal import assert_same, gradients
from tests.numerics.test_adapters import adapted
from tests.numerics.test_packed import WINDOWED


@pytest.mark.parametrize("layer", [1, 2, LAYERS - 1])
@pytest.mark.parametrize(("family", "changes"), FAMILIES)
def test_packed_trees_are_the_literal_reading(family: str, changes: dict, layer: int) -> None:
    backbone = inserted(family, layer, **changes)
    check_packed(backbone, trees(backbone), layer)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3_text"])
def test_under_eager_attention_too(family: str) -> None:
    backbone = inserted(family, 2, "eager", **dict(FAMILIES)[family])
    check_packed(backbone, trees(backbone, "refinement"), 2)


@pytest.mark.parametrize("placement", ["before_question", "sentence_ends"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_blocks_of_their_own_tokens_that_stand_elsewhere(family: str, placement: str) -> None:
    """Every token of every block has a vector of its own."""
    own = "per_slot_and_block"
    backbone = inserted(family, 2, slots=Slots(own, 2, 4))
    assert backbone.insertion is not None and len(backbone.insertion.vectors) == 3 + 8
    check_packed(backbone, trees(backbone, tokens=own, placement=placement), 2)
    made = prompts(backbone, tokens=own, placement=placement, blocks=2)
    for prompt, branches in zip(made, greedy(backbone, made, NEW), strict=True):
        assert branches == [continued(backbone, prompt, branch, 2) for branch in prompt.branches]


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_readouts_that_see_less_and_stand_elsewhere(family: str) -> None:
    backbone = inserted(family, 2)
    elsewhere = trees(backbone, "refinement", readout_sees_question=False, readout_position="after_last_block")
    check_packed(backbone, elsewhere, 2)


def test_vectors_without_positions_are_the_same_at_every_place() -> None:
    without = inserted("gpt2", 2, position=False)
    check_packed(without, trees(without), 2, position=False)
    batch = pad(trees(without), without.special.pad)
    assert not torch.allclose(packed_nll(without, batch), packed_nll(inserted("gpt2", 2), batch), atol=1e-2)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_adapters_and_all_that_trains_with_them(family: str) -> None:
    backbone = with_insertion(adapted(family), 1)
    check_packed(backbone, trees(backbone), 1)
    backbone.zero_grad()
    packed_nll(backbone, pad(trees(backbone), backbone.special.pad)).sum().backward()
    found = {name: p.grad for name, p in backbone.named_parameters() if p.requires_grad}
    missing = [name for name, gradient in found.items() if gradient is None]
    assert missing == [], "a process that waits for these gradients would wait for ever"
    assert any(".rows." in name for name in found) and found["extra.insertion.vectors"].abs().min() > 0


@pytest.mark.parametrize(("family", "changes"), [*PLAIN, WINDOWED[0]])
def test_company_and_order_change_nothing(family: str, changes: dict) -> None:
    backbone = inserted(family, 2, **changes)
    made = trees(backbone)
    batch = pad(made, backbone.special.pad)
    together_S = packed_nll(backbone, batch)
    for row, tree in enumerate(made):
        alone_S = packed_nll(backbone, pad([tree], backbone.special.pad))
        torch.testing.assert_close(alone_S, together_S[batch.example_S == row], atol=1e-5, rtol=0)


# ---------------------------------------------------------------- below ℓ there is no memory


@torch.no_grad()
@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize(("family", "changes"), [*PLAIN, WINDOWED[0]])
def test_below_other_tokens_are_as_in_a_text_without_blocks(family: str, changes: dict, attention: str) -> None:
    """At the same position ids, by a model that has no insertion."""
    backbone = inserted(family, 2, attention, **changes)
    tree = trees(backbone, "refinement")[0]
    batch = pad([tree], backbone.special.pad)
    seen: list[Tensor] = []
    handle = stack(backbone)[1].register_forward_hook(lambda layer, args, output: seen.append(output))
    read_once(backbone, batch, Wanted(batch.source_S))
    handle.remove()
    text = (~batch.memory_BN[0]).nonzero()[:, 0]
    visible, positions = batch.visible_BNN()[:, text][:, :, text], batch.position_BN[:, text]
    reading = Reading(visible, positions, positions, torch.zeros(1, 1, dtype=torch.long))
    with backbone.insertion.suspended():  # type: ignore[union-attr]
        states = backbone(batch.ids_BN[:, text], reading, states=True).hidden_states
    torch.testing.assert_close(seen[0], states[2], atol=1e-5, rtol=0)


def stack(backbone: Backbone) -> Any:
    model: Any = backbone.model
    return model.transformer.h if hasattr(model, "transformer") else model.model.layers


def test_layers_below_run_over_the_other_tokens_alone() -> None:
    """Neither memory nor padding: as many rows as the example with most of the others has."""
    backbone = inserted("llama", 2)
    batch = pad(trees(backbone), backbone.special.pad)
    lengths: list[int] = []
    handles = [
        layer.register_forward_hook(lambda layer, args, output: lengths.append(output.shape[1]))
        for layer in stack(backbone)
    ]
    read_once(backbone, batch, Wanted(batch.source_S))
    for handle in handles:
        handle.remove()
    most = int(((batch.node_BN >= 0) & ~batch.memory_BN).sum(1).max())
    assert lengths == [most, most, batch.ids_BN.shape[1], batch.ids_BN.shape[1]]
    assert most < batch.ids_BN.shape[1] - 4


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_gradients_reach_vectors_and_no_memory_below(family: str) -> None:
    """Rows of memory in the embedding of an untied model have the gradient 0."""
    backbone = inserted(family, 2, tie_word_embeddings=False)
    batch = pad(trees(backbone), backbone.special.pad)
    packed_nll(backbone, batch).sum().backward()
    assert (backbone.insertion.vectors.grad.abs().sum(1) > 0).all()  # type: ignore[union-attr]
    table = backbone.model.get_input_embeddings().weight.grad
    assert (table[list(backbone.special.memory_tokens)] == 0).all()
    assert (table[batch.ids_BN[0, :9]].abs().sum(1) > 0).all()


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_gradients_are_those_of_the_literal_reading(family: str) -> None:
    backbone = inserted(family, 2).double()
    made = trees(backbone)
    found = gradients(backbone, packed_nll(backbone, pad(made, backbone.special.pad)).sum())
    wanted = gradients(backbone, torch.stack([loss for tree in made for loss in literal_nll(backbone, tree, 2)]).sum())
    assert found.keys() == wanted.keys() | {"extra.insertion.vectors"}
    assert_same(found, wanted)


# ---------------------------------------------------------------- layer 0


@torch.no_grad()
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3_text"])
def test_at_layer_0_the_mechanism_is_the_plain_reading(family: str) -> None:
    """Vectors that are the embeddings, at the input of the first layer; the settings install nothing there."""
    backbone = tiny_backbone(family, **dict(FAMILIES)[family])
    batch = pad(trees(backbone), backbone.special.pad)
    plain_S, answers = packed_nll(backbone, batch), greedy(backbone, prompts(backbone), NEW)
    method(backbone).add_modules(backbone)
    assert backbone.insertion is None and backbone.new_cache().first_layer == 0
    backbone.insert_memory(0, position=True)
    torch.testing.assert_close(packed_nll(backbone, batch), plain_S, atol=1e-5, rtol=0)
    assert greedy(backbone, prompts(backbone), NEW) == answers


@torch.no_grad()
def test_hidden_kinds_are_only_hidden() -> None:
    """The kinds of nodes play no part: memory is known by its tokens."""
    backbone = inserted("llama", 2)
    tree = trees(backbone)[0]
    renamed = Tree(tuple(type(n)(Kind.STEP, n.ids, n.parent, n.weight, n.readout) for n in tree.nodes), tree.count)
    nll = [packed_nll(backbone, pad([each], backbone.special.pad)) for each in (tree, renamed)]
    torch.testing.assert_close(*nll, atol=1e-6, rtol=0)
