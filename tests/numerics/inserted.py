"""Tiny backbones whose memory enters at layer ℓ, and the slow and literal reading of one path at a time.

Axes: B examples, N tokens of a path, Q tokens of a pass, P those that are no memory, D width, V vocabulary.
"""

from typing import Any

import torch
from torch import Tensor

from rim.backbone.backbone import Backbone
from rim.backbone.decode import Prompt
from rim.backbone.reading import Wanted, read_once
from rim.base.tree import Tree, TreeBatch, pad
from rim.methods.memory_blocks import MemoryBlocks
from rim.methods.registry import build_method
from tests.models import at, config, example, tiny_backbone
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
