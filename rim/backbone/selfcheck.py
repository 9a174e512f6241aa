"""The proof, on this very backbone, that one packed pass equals separate causal passes.

Axes: B examples, N tokens, S supervised tokens, V vocabulary.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from rim.backbone.attention import AttentionError
from rim.backbone.backbone import Backbone
from rim.backbone.reading import Wanted, read_once
from rim.base.errors import UserError
from rim.base.tree import Flat, Kind, Node, Tree, TreeBatch, pad, pad_lines


@dataclass(frozen=True)
class SelfCheck:
    """Largest difference of logits between packed and separate passes, and what it was measured on."""

    difference: float
    tolerance: float
    predictions: int
    longest: int


def self_check(backbone: Backbone, trees: Sequence[Tree]) -> SelfCheck:
    """Compare one pass over `trees`, side by side in two lines, with one plain causal pass per path, dropout off.

    The plain pass gives the model nothing but token ids, so it cannot share a mistake with our masks. A right model
    differs by about 1e-6 in fp32; a wrong one by 0.2 or more, so the tolerance is not delicate. Paths that hide
    ancestors or skip positions have no plain counterpart: they are checked with the ancestors shown and the positions
    in turn, through the same code.

    Where memory enters above layer 0, that is checked with memory read as tokens. Then packed and separate passes are
    compared with memory where it enters, and the larger difference is returned.

    Raises:
        AttentionError: the passes differ, or the model cannot be given a tree; the text names the family and why.
    """
    trees = [_plain(tree) for tree in trees]
    training, insertion = backbone.training, backbone.insertion
    backbone.eval()
    with torch.no_grad():
        with backbone.memory_as_tokens():
            check = _compare(backbone, trees, _as_text)
        if insertion is not None:
            inserted = _compare(backbone, trees, _as_one_path)
            check = max(check, inserted, key=lambda each: each.difference / each.tolerance)
    backbone.train(training)
    return check


def _compare(backbone: Backbone, trees: Sequence[Tree], read: Callable[[Backbone, Tensor], Tensor]) -> SelfCheck:
    """One packed pass against one pass per path, as `read` makes it."""
    lines = [line for line in (trees[::2], trees[1::2]) if line]
    batch = pad_lines(lines, backbone.special.pad).to(backbone.device)
    packed_SV = _packed(backbone, batch)
    separate_SV = torch.cat([_separate(backbone, tree, read) for line in lines for tree in line])
    scale = max(1.0, separate_SV.float().abs().max().item())
    check = SelfCheck(
        difference=(packed_SV - separate_SV).abs().max().item(),
        tolerance=scale * (1e-4 if separate_SV.dtype == torch.float32 else 5e-2),
        predictions=len(packed_SV),
        longest=max(int(tree.flat.position_N.max()) + 1 for tree in trees),
    )
    if not check.difference <= check.tolerance:
        found = f"differ by {check.difference:.2g}, allowed is {check.tolerance:.2g}. This family ignores"
        raise AttentionError(_refusal(backbone, f"packed and separate passes {found}"))
    return check


def _packed(backbone: Backbone, batch: TreeBatch) -> Tensor:
    """[S, V] logits of the supervised tokens, from one pass over lines of trees."""
    try:
        return read_once(backbone, batch, Wanted(batch.source_S)).logits_UV
    except (UserError, torch.OutOfMemoryError):
        raise
    except (TypeError, ValueError, RuntimeError, LookupError, AttributeError) as error:
        reason = str(error).strip().partition("\n")[0]
        found = f"a pass over a tree ended in {type(error).__name__}: {reason:.200}. This family cannot be given"
        raise AttentionError(_refusal(backbone, found)) from error


def _refusal(backbone: Backbone, found: str) -> str:
    """The message of a check that failed; `found` ends in what the family does to the mask."""
    config, insertion = backbone.model.config, backbone.insertion
    where, way_out = "", "another backbone or backbone.attention"
    if insertion is not None and insertion.acts:
        where = f" where memory enters at layer {insertion.layer}"
        way_out = "memory.insertion_layer=0, another backbone or backbone.attention"
    on = f"on '{config.model_type}' with attention '{config._attn_implementation}'{where}"
    return f"the self-check failed {on}: {found} the mask of a tree: use {way_out}"


def _plain(tree: Tree) -> Tree:
    """The tree with every path as ordinary causal text."""
    return Tree(tuple(replace(node, hides=frozenset(), start=None) for node in tree.nodes), tree.count)


def _as_text(backbone: Backbone, ids_N: Tensor) -> Tensor:
    """[N, V] logits of the model itself, which is given nothing but token ids."""
    return backbone.read_text(ids_N[None])[0]


def _as_one_path(backbone: Backbone, ids_N: Tensor) -> Tensor:
    """[N, V] logits of a tree that is one path."""
    batch = pad([Tree((Node(Kind.QUESTION, ids_N.tolist()),))], backbone.special.pad).to(backbone.device)
    return read_once(backbone, batch, Wanted(torch.arange(len(ids_N), device=backbone.device))).logits_UV


def _separate(backbone: Backbone, tree: Tree, read: Callable[[Backbone, Tensor], Tensor]) -> Tensor:
    """[S, V] logits of the supervised tokens, from one causal pass per path, in the order of a padded batch."""
    flat = tree.flat
    by_token = {}
    for path in _paths(tree, flat):
        logits_NV = read(backbone, torch.as_tensor(flat.ids_N[path], device=backbone.device))
        for place, token in enumerate(path):
            if flat.weight_N[token]:
                by_token[int(token)] = logits_NV[place - 1]
    order = sorted(by_token, key=lambda token: (flat.previous_N[token], token))
    return torch.stack([by_token[token] for token in order])


def _paths(tree: Tree, flat: Flat) -> Iterator[list[int]]:
    """Flat indices of the tokens from the root to each node that nothing continues, and to each supervised node."""
    parents = {node.parent for node in tree.nodes}
    for index, node in enumerate(tree.nodes):
        if index in parents and not node.weight:
            continue
        token = int((flat.node_N == index).nonzero()[0][-1])
        path: list[int] = []
        while token >= 0:
            path.append(token)
            token = int(flat.previous_N[token])
        yield path[::-1]
