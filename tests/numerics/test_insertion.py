"""Memory that enters at layer ℓ against a slow and literal reading, layer by layer, of one path at a time.

Axes: B examples, N tokens of a path, Q tokens of a pass, P those that are no memory, D width, V vocabulary.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

from rim.backbone.attention import ALLOWED
from rim.backbone.backbone import Backbone, Reading
from rim.backbone.decode import Prompt, greedy
from rim.backbone.insertion import MemoryCache
from rim.backbone.reading import Wanted, read_once
from rim.backbone.tokenizer import Slots
from rim.evaluation.controls import add_noise, swap
from rim.methods.memory_blocks import MemoryBlocks
from rim.methods.registry import build_method
from rim.tree import Kind, Tree, TreeBatch, pad
from tests.models import at, config, example, tiny_backbone
from tests.numerics.literal import assert_same, gradients
from tests.numerics.test_adapters import adapted
from tests.numerics.test_packed import WINDOWED

PLAIN: list[tuple[str, dict]] = [("gpt2", {}), ("llama", {}), ("qwen3", {})]
FAMILIES = [*PLAIN, *WINDOWED]
LAYERS = 4
"""So that 1, 2 and the last one are three."""
NEW = 5
LENGTHS = ((9, (3, 2, 4)), (5, (2,)), (14, ()))
"""Tokens of questions and steps: blocks of different numbers, so that rows are ragged below ℓ."""


def inserted(family: str, layer: int, attention: str = "sdpa", position: bool = True, **changes: Any) -> Backbone:
    """A tiny backbone of four layers; its vectors are those of no token."""
    depth = {"n_layer" if family == "gpt2" else "num_hidden_layers": LAYERS}
    if "layer_types" in changes:
        changes = {**changes, "layer_types": [*changes["layer_types"], "full_attention"]}
    backbone = tiny_backbone(family, attention, **{**changes, **depth})
    return with_insertion(backbone, layer, position)


def with_insertion(backbone: Backbone, layer: int, position: bool = True) -> Backbone:
    backbone.insert_memory(layer, position=position)
    assert backbone.insertion is not None
    with torch.no_grad():
        noise = torch.randn(backbone.insertion.vectors.shape, generator=torch.Generator().manual_seed(4))
        backbone.insertion.vectors.add_(noise.to(backbone.insertion.vectors.dtype))
    return backbone


def method(backbone: Backbone, **changes: Any) -> MemoryBlocks:
    settings = config(**changes)
    settings.data.max_steps = 4
    made = build_method(settings, backbone.tokenizer)
    assert isinstance(made, MemoryBlocks)
    return made


def trees(backbone: Backbone, objective: str = "grounding", **changes: Any) -> list[Tree]:
    made = method(backbone, **changes)
    return [made.layout(example(q, s, seed=q), at(objective)) for q, s in LENGTHS]


# ---------------------------------------------------------------- the literal reading


class Literal:
    """One path through the model's own layers, called one by one with masks that are written out."""

    def __init__(self, backbone: Backbone, ids: list[int], positions: list[int], hidden: set[tuple[int, int]]) -> None:
        model: Any = backbone.model
        model = model.get_base_model() if hasattr(model, "get_base_model") else model
        self.backbone, self.model, self.hidden = backbone, model, hidden
        self.stack = model.transformer if hasattr(model, "transformer") else model.model
        self.layers = self.stack.h if hasattr(self.stack, "h") else self.stack.layers
        self.ids, self.positions = ids, torch.tensor([positions])
        self.memory = [token in backbone.special.memory_tokens for token in ids]

    def logits(self, layer: int, position: bool = True) -> Tensor:
        """[N, V] where memory enters at this layer."""
        text = [n for n, memory in enumerate(self.memory) if not memory]
        state_ND = self._through(self._embedded(text), text, range(layer))
        vectors = self.backbone.insertion.vectors  # type: ignore[union-attr]
        rows = []
        for n, token in enumerate(self.ids):
            if not self.memory[n]:
                rows.append(state_ND[text.index(n)])
                continue
            row_D = vectors[self.backbone.special.memory_tokens.index(token)]
            rows.append(row_D + self._place(n) if position else row_D)
        everything = [*range(len(self.ids))]
        state_ND = self._through(torch.stack(rows), everything, range(layer, len(self.layers)))
        norm = self.stack.ln_f if hasattr(self.stack, "ln_f") else self.stack.norm
        return self.model.lm_head(norm(state_ND[None]))[0]

    def _place(self, n: int) -> Tensor | float:
        return self.stack.wpe(self.positions[0, n]) if hasattr(self.stack, "wpe") else 0.0

    def _embedded(self, chosen: list[int]) -> Tensor:
        rows_ND = self.backbone.embed(torch.tensor([[self.ids[n] for n in chosen]]))[0]
        return torch.stack([row_D + self._place(n) for n, row_D in zip(chosen, rows_ND, strict=True)])

    def _through(self, state_ND: Tensor, chosen: list[int], layers: range) -> Tensor:
        positions = self.positions[:, chosen]
        for index in layers:
            more: dict[str, Any] = {"attention_mask": self._mask(chosen, index).to(state_ND.dtype)}
            if hasattr(self.stack, "rotary_emb"):
                types = (self._type(index),) if self.model.config.model_type.startswith("gemma") else ()
                more["position_embeddings"] = self.stack.rotary_emb(state_ND[None], positions, *types)
            state_ND = self.layers[index](state_ND[None], **more)[0]
        return state_ND

    def _type(self, index: int) -> str | None:
        return (getattr(self.model.config, "layer_types", None) or [None] * LAYERS)[index]

    def _mask(self, chosen: list[int], index: int) -> Tensor:
        window = getattr(self.model.config, "sliding_window", None)
        if self._type(index) == "full_attention":
            window = None
        mask = torch.full((1, 1, len(chosen), len(chosen)), -1e30)
        for row, n in enumerate(chosen):
            for column, m in enumerate(chosen[: row + 1]):
                near = window is None or self.positions[0, n] - self.positions[0, m] < window
                if near and (n, m) not in self.hidden:
                    mask[0, 0, row, column] = 0
        return mask


def paths(backbone: Backbone, tree: Tree) -> list[tuple[Literal, int]]:
    """The literal reading of every supervised node, and the number of tokens before it."""
    found = []
    for index, node in enumerate(tree.nodes):
        if not node.weight:
            continue
        line, above = [index], node.parent
        while above is not None:
            line, above = [above, *line], tree.nodes[above].parent
        ids, positions, kinds = [], [], []
        for g in line:
            start = tree.nodes[g].start if tree.nodes[g].start is not None else len(ids)
            positions += [start + n for n in range(len(tree.nodes[g].ids))]
            kinds += [tree.nodes[g].kind] * len(tree.nodes[g].ids)
            ids += [int(token) for token in tree.nodes[g].ids]
        before = len(ids) - len(node.ids)
        hidden = {(n, m) for n in range(before, len(ids)) for m in range(before) if kinds[m] in node.hides}
        found.append((Literal(backbone, ids, positions, hidden), before))
    return found


def literal_nll(backbone: Backbone, tree: Tree, layer: int, position: bool = True) -> list[Tensor]:
    losses = []
    for reading, before in paths(backbone, tree):
        logits_NV = reading.logits(layer, position).log_softmax(-1)
        losses += [-logits_NV[n - 1, reading.ids[n]] for n in range(before, len(reading.ids))]
    return losses


def packed_nll(backbone: Backbone, batch: TreeBatch) -> Tensor:
    logits = read_once(backbone, batch, Wanted(batch.source_S)).logits_UV.log_softmax(-1)
    return -logits.gather(1, batch.target_S[:, None])[:, 0]


def check_packed(backbone: Backbone, made: list[Tree], layer: int, position: bool = True) -> None:
    with torch.no_grad():
        batch = pad(made, backbone.special.pad)
        packed_S = packed_nll(backbone, batch)
        for row, tree in enumerate(made):
            wanted_S = torch.stack(literal_nll(backbone, tree, layer, position))
            mine_S = packed_S[batch.example_S == row]
            torch.testing.assert_close(mine_S.sort().values, wanted_S.sort().values, atol=2e-5, rtol=0)


# ---------------------------------------------------------------- packed trees


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
    assert any("trainable_tokens" in name for name in found) and found["extra.insertion.vectors"].abs().min() > 0


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
@pytest.mark.parametrize("attention", ALLOWED)
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


# ---------------------------------------------------------------- decoding


def prompts(backbone: Backbone, lengths: tuple[int, ...] = (9, 5, 14), **changes: Any) -> list[Prompt]:
    made = method(backbone, **changes)
    return [made.prompt(example(length, seed=length)) for length in lengths]


@torch.no_grad()
def continued(backbone: Backbone, prompt: Prompt, branch: int | None, layer: int) -> list[int]:
    """The most likely tokens by the literal reading, everything read anew for each."""
    ids: list[int] = []
    tokens: list[int] = []
    above = branch
    while above is not None:
        node = prompt.trunk.nodes[above]
        ids, above = [*(int(token) for token in node.ids), *ids], node.parent
    for _ in range(NEW):
        logits_V = Literal(backbone, [*ids, *tokens], [*range(len(ids) + len(tokens))], set()).logits(layer)[-1]
        logits_V[list(backbone.special.memory_tokens)] = -torch.inf
        if (token := int(logits_V.argmax())) == backbone.special.end:
            break
        tokens.append(token)
    return tokens


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


# ---------------------------------------------------------------- layer 0


@torch.no_grad()
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3_text"])
def test_at_layer_0_the_mechanism_is_the_plain_reading(family: str) -> None:
    """Vectors that are the embeddings, at the input of the first layer; the settings install nothing there."""
    backbone = tiny_backbone(family, **dict(FAMILIES)[family])
    batch = pad(trees(backbone), backbone.special.pad)
    plain_S, answers = packed_nll(backbone, batch), greedy(backbone, prompts(backbone), NEW)
    method(backbone).equip(backbone)
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
    assert torch.equal(*nll)
