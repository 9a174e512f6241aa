"""The last of the states that a model gives is the one after its final norm; thoughts and loops are made of it."""

import pytest
import torch

from rim.backbone.backbone import Reading
from rim.base.tree import Kind, Node, Tree, pad
from tests.models import tiny_backbone
from tests.numerics.test_packed import FAMILIES

IDS = [5, 9, 40, 77, 12, 8]


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
@torch.no_grad()
def test_the_last_state_is_normed_and_feeds_the_head(family: str, changes: dict) -> None:
    backbone = tiny_backbone(family, **changes)
    model, ids_BN = backbone.model, torch.tensor([IDS])
    before: list[torch.Tensor] = []
    norm = next(module for name, module in model.named_modules() if name in ("transformer.ln_f", "model.norm"))
    handle = norm.register_forward_hook(lambda module, inputs, output: before.append(inputs[0]))
    decoded_BND = model.get_decoder()(ids_BN, use_cache=False).last_hidden_state
    handle.remove()
    output = model(ids_BN, use_cache=False, output_hidden_states=True)
    assert torch.equal(output.hidden_states[-1], decoded_BND)
    assert torch.equal(model.get_output_embeddings()(decoded_BND), output.logits)
    assert not torch.allclose(decoded_BND, before[0], rtol=0.01, atol=0.01), "the norm does something"
    assert len(output.hidden_states) == model.config.num_hidden_layers + 1


@pytest.mark.parametrize(("family", "changes"), FAMILIES)
@torch.no_grad()
def test_so_it_is_in_a_pass_over_a_tree(family: str, changes: dict) -> None:
    backbone = tiny_backbone(family, **changes)
    batch = pad([Tree((Node(Kind.QUESTION, IDS),))], backbone.special.pad)
    keep_BN = torch.zeros(batch.ids_BN.shape, dtype=torch.bool)
    reading = Reading(batch.visible_BNN(), batch.position_BN, batch.position_BN, keep_BN)
    states = backbone(batch.ids_BN, reading, states=True).hidden_states
    decoded_BND = backbone.model.get_decoder()(batch.ids_BN, use_cache=False).last_hidden_state
    assert torch.allclose(states[-1], decoded_BND, atol=1e-5, rtol=1e-5)
    assert torch.equal(states[0], backbone.model(batch.ids_BN, output_hidden_states=True).hidden_states[0])
