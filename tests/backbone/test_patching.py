"""Traces and patches against the model's own passes over plain text, with hooks of its own modules.

Axes: N tokens of a text, P patched tokens, D width, H heads, W head width, V vocabulary.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from rim.backbone.backbone import Backbone
from rim.backbone.decode import Prompt, greedy
from rim.backbone.patching import Part, Patch, patched, trace, traced_layers, unembedded
from rim.backbone.reading import Wanted
from rim.base.tree import Tree, TreeBatch, pad
from rim.methods.registry import build_method
from tests.models import config, example, tiny_backbone, with_adapters
from tests.numerics.inserted import inserted

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
FAMILIES = ("gpt2", "llama", "gemma3_text")
MADE: list[tuple[str, Callable[[], Backbone]]] = [
    *((family, lambda family=family: tiny_backbone(family)) for family in FAMILIES),
    ("llama with adapters", lambda: with_adapters(tiny_backbone("llama"))),
]
every_model = pytest.mark.parametrize("build", [build for _, build in MADE], ids=[name for name, _ in MADE])


def trunks(backbone: Backbone) -> tuple[Tree, Tree]:
    """Those of a receiver and a donor, of one length and without branches."""
    method = build_method(config(), backbone.tokenizer)
    own, foreign = (method.prompt(example(9, seed=seed)).final.trunk for seed in (1, 2))
    return own, foreign


def batch(backbone: Backbone, *trees: Tree) -> TreeBatch:
    return pad(trees, backbone.special.pad)


def plain(backbone: Backbone, tree: Tree) -> tuple[Tensor, list[Tensor], list]:
    """Logits [N, V], states [N, D] by layer and the cached layers of a plain pass."""
    ids_BN = torch.from_numpy(tree.flat.ids_N)[None]
    output = backbone.model(input_ids=ids_BN, use_cache=True, output_hidden_states=True)
    return output.logits[0], [states[0] for states in output.hidden_states], output.past_key_values.layers


def last_logits(backbone: Backbone, tree: Tree, *patches: Patch) -> Tensor:
    """[V] after the last token."""
    n = len(tree.flat.ids_N)
    return patched(patches)(backbone, batch(backbone, tree), Wanted(torch.tensor([n - 1])), None).logits_UV[0]


@every_model
@torch.no_grad()
def test_a_trace_is_that_of_a_plain_pass(build: Callable[[], Backbone]) -> None:
    backbone = build()
    own, _ = trunks(backbone)
    found = trace(backbone, batch(backbone, own))
    _, states, cached = plain(backbone, own)
    layers = traced_layers(backbone)
    assert [*found.state] == [*range(layers.stop + 1)] and layers.start == 0
    for layer in layers:
        torch.testing.assert_close(found.state[layer][0], states[layer], atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(found.keys[layer][0].transpose(0, 1), cached[layer].keys[0], atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(
            found.values[layer][0].transpose(0, 1), cached[layer].values[0], atol=1e-4, rtol=1e-5
        )


@pytest.mark.parametrize("adapted", [False, True])
@pytest.mark.parametrize("part", ["state", "keys", "values"])
@torch.no_grad()
def test_a_patch_is_what_the_modules_own_hooks_do(part: Part, adapted: bool) -> None:
    """The reference: outputs of a projection, or of the layer below, are overwritten token by token in a plain pass."""
    backbone = with_adapters(tiny_backbone("llama")) if adapted else tiny_backbone("llama")
    own, foreign = trunks(backbone)
    layer, places = 1, [4, 11, 12]
    found = trace(backbone, batch(backbone, foreign)).patch(part, layer, torch.tensor([places]))
    layers = backbone.causal.model.layers
    module = {
        "state": layers[layer - 1],
        "keys": layers[layer].self_attn.k_proj,
        "values": layers[layer].self_attn.v_proj,
    }
    given = outputs_of(backbone, module[part], foreign)

    def overwrite(_: nn.Module, __: object, output: Tensor) -> Tensor:
        output = output.clone()
        for place in places:
            output[0, place] = given[0, place]
        return output

    handle = module[part].register_forward_hook(overwrite)
    wanted_V = plain(backbone, own)[0][-1]
    handle.remove()
    torch.testing.assert_close(last_logits(backbone, own, found), wanted_V, atol=1e-4, rtol=1e-5)
    ordinary_V = plain(backbone, own)[0][-1]
    assert (wanted_V - ordinary_V).abs().max() > 1e-3
    torch.testing.assert_close(last_logits(backbone, own), ordinary_V, atol=1e-4, rtol=1e-5)


def outputs_of(backbone: Backbone, module: nn.Module, tree: Tree) -> Tensor:
    """[1, N, …] what a module gives in a plain pass."""
    found: list[Tensor] = []
    handle = module.register_forward_hook(lambda _, __, output: found.append(output))
    plain(backbone, tree)
    handle.remove()
    return found[0]


@every_model
def test_all_states_of_a_donor_give_its_answers_and_own_ones_change_nothing(build: Callable[[], Backbone]) -> None:
    """Together with a question of another length; own ones before a cue, too, which is read in the same pass."""
    backbone = build()
    method = build_method(config(), backbone.tokenizer)
    receivers, donors = (
        [method.prompt(example(length, seed=length + shift)).final for length in (9, 5)] for shift in (0, 1)
    )
    own, foreign = (trace(backbone, batch(backbone, *(p.trunk for p in each))) for each in (receivers, donors))
    lengths_B1 = torch.tensor([[len(prompt.trunk.flat.ids_N)] for prompt in receivers])
    everywhere_BP = torch.arange(int(lengths_B1.max())).minimum(lengths_B1 - 1)
    ordinary, wanted = first_logits(backbone, receivers), first_logits(backbone, donors)
    assert (ordinary - wanted).abs().amax(-1).min() > 1e-3
    cued = [replace(prompt, cue=(20, 21)) for prompt in receivers]
    after_cue = first_logits(backbone, cued)
    for layer in traced_layers(backbone):
        found = first_logits(backbone, receivers, foreign.patch("state", layer, everywhere_BP))
        torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-5)
        for part in ("state", "keys", "values"):
            found = first_logits(backbone, cued, own.patch(part, layer, everywhere_BP[:, 5:8]))
            torch.testing.assert_close(found, after_cue, atol=1e-4, rtol=1e-5)
    torch.testing.assert_close(first_logits(backbone, receivers), ordinary, msg="no hook is left behind")


def first_logits(backbone: Backbone, made: list[Prompt], *patches: Patch) -> Tensor:
    """[B, V] logits of the first tokens of answers, as decoding has them."""
    found: list[Tensor] = []
    handle = backbone.register_forward_hook(lambda _, __, output: found.append(output.logits))
    greedy(backbone, made, 1, read=patched(patches))
    handle.remove()
    return found[0]


@every_model
@torch.no_grad()
def test_the_output_of_the_last_layer_unembeds_to_the_models_logits(build: Callable[[], Backbone]) -> None:
    backbone = build()
    own, _ = trunks(backbone)
    last_BND = trace(backbone, batch(backbone, own)).state[traced_layers(backbone).stop]
    torch.testing.assert_close(unembedded(backbone, last_BND)[0], plain(backbone, own)[0], atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_where_memory_is_inserted_the_layers_above_are_traced(family: str) -> None:
    backbone = inserted(family, 1)
    own, foreign = trunks(backbone)
    assert traced_layers(backbone) == range(2, 4)
    found, other = (trace(backbone, batch(backbone, tree)) for tree in (own, foreign))
    assert [*found.state] == [2, 3, 4] and [*found.keys] == [*found.values] == [2, 3]
    blocks_BP = torch.from_numpy(own.flat.memory_N.nonzero()[0])[None]
    ordinary_V = last_logits(backbone, own)
    torch.testing.assert_close(last_logits(backbone, own, found.patch("state", 2, blocks_BP)), ordinary_V)
    assert (last_logits(backbone, own, other.patch("state", 2, blocks_BP)) - ordinary_V).abs().max() > 1e-3
