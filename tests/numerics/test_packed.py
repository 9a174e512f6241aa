"""One packed pass equals separate passes, on every shape and under every attention implementation that is allowed."""

import pytest
import torch

from rim.backbone.backbone import Backbone, Reading
from rim.backbone.reading import Wanted, read_once
from rim.base.tree import Tree, TreeBatch, pad
from rim.methods.registry import build_method
from rim.settings import ATTENTION
from tests.models import at, config, example, tiny_backbone

WINDOWED = [
    ("gemma3_text", {"sliding_window": 8, "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}),
    ("mistral", {"sliding_window": 8}),
    ("qwen2", {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1}),
]
PLAIN = [("gpt2", {}), ("llama", {}), ("llama", {"tie_word_embeddings": False}), ("qwen2", {}), ("qwen3", {})]
FAMILIES = PLAIN + WINDOWED


def trees(backbone: Backbone, objective: str) -> list[Tree]:
    method = build_method(config(), backbone.tokenizer)
    shapes = [(9, (3, 2, 4)), (5, (2,)), (14, ())]
    return [method.layout(example(q, s, seed=i), at(objective, 0.0)) for i, (q, s) in enumerate(shapes)]


def separate_nll(backbone: Backbone, tree: Tree) -> list[float]:
    """The literal reference: one causal pass per readout over question, blocks so far and readout, as plain text."""
    out = []
    for index, node in enumerate(tree.nodes):
        if not node.weight:
            continue
        path, above = [], index
        while above is not None:
            path, above = [*tree.nodes[above].ids, *path], tree.nodes[above].parent
        ids = torch.tensor([path], dtype=torch.long)
        logits = backbone.model(input_ids=ids).logits[0].log_softmax(-1)
        start = len(path) - len(node.ids)
        out += [-logits[place - 1, path[place]].item() for place in range(start, len(path))]
    return out


@torch.no_grad()
def packed_nll(backbone: Backbone, batch: TreeBatch) -> torch.Tensor:
    logits = read_once(backbone, batch, Wanted(batch.source_S)).logits_UV.log_softmax(-1)
    return -logits.gather(1, batch.target_S[:, None])[:, 0]


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize(("family", "changes"), FAMILIES)
@pytest.mark.parametrize("objective", ["grounding", "refinement"])
def test_packed_equals_separate(family: str, changes: dict, attention: str, objective: str) -> None:
    backbone = tiny_backbone(family, attention, **changes)
    made = trees(backbone, objective)
    batch = pad(made, backbone.special.pad)
    packed = packed_nll(backbone, batch)
    for row, tree in enumerate(made):
        separate = torch.tensor(separate_nll(backbone, tree))
        mine = packed[batch.example_S == row]
        assert torch.allclose(mine.sort().values, separate.sort().values, atol=1e-5, rtol=0), tree


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_padding_and_company_change_nothing(family: str) -> None:
    backbone = tiny_backbone(family)
    made = trees(backbone, "grounding")
    together = pad(made, backbone.special.pad)
    nll = packed_nll(backbone, together)
    for row, tree in enumerate(made):
        alone = packed_nll(backbone, pad([tree], backbone.special.pad))
        assert torch.allclose(alone, nll[together.example_S == row], atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_order_of_leaves_changes_nothing(family: str) -> None:
    backbone = tiny_backbone(family)
    tree = trees(backbone, "refinement")[0]
    leaves = [node for node in tree.nodes if node.weight]
    shuffled = Tree((*tree.nodes[: -len(leaves)], *leaves[::-1]), tree.count)
    batches = [pad([each], backbone.special.pad) for each in (tree, shuffled)]
    losses = [packed_nll(backbone, batch)[batch.readout_S.argsort(stable=True)] for batch in batches]
    assert torch.allclose(*losses, atol=1e-5, rtol=0)


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_gradients_off_the_path_are_exactly_zero(family: str, attention: str) -> None:
    backbone = tiny_backbone(family, attention)
    tree = trees(backbone, "refinement")[0]
    batch = pad([tree, tree], backbone.special.pad)
    embedded = backbone.model.get_input_embeddings()(batch.ids_BN).detach().requires_grad_()
    visible = batch.visible_BNN()
    handle = backbone.model.get_input_embeddings().register_forward_hook(lambda *_: embedded)
    previous_N = batch.previous_BN[0]
    token = len(previous_N) - 1
    keep = torch.zeros_like(batch.ids_BN, dtype=torch.bool)
    keep[0, token] = True
    logits = backbone(batch.ids_BN, Reading(visible, batch.position_BN, batch.position_BN, keep)).logits
    logits.logsumexp(-1).sum().backward()
    handle.remove()
    path = {token}
    while previous_N[min(path)] >= 0:
        path.add(int(previous_N[min(path)]))
    size = embedded.grad.abs().sum(-1)
    on = torch.tensor([n in path for n in range(size.shape[1])])
    assert (size[0, on] > 0).all()
    assert (size[0, ~on] == 0).all()
    assert (size[1] == 0).all(), "another example of the batch"


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_logits_are_computed_at_supervised_positions_alone(family: str) -> None:
    """A vocabulary of 128k must not cost memory for positions that teach nothing."""
    backbone = tiny_backbone(family)
    seen = []
    head = backbone.model.get_output_embeddings()
    handle = head.register_forward_hook(lambda module, inputs, output: seen.append(output.shape[:-1].numel()))
    batch = pad(trees(backbone, "refinement"), backbone.special.pad)
    read_once(backbone, batch, Wanted(batch.predictor_U))
    handle.remove()
    assert seen == [len(batch.source_S.unique())]
    assert len(batch.source_S.unique()) < batch.ids_BN.numel() / 2
