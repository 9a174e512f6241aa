"""Greedy decoding of all readouts of a question from one prefill of its trunk.

The branches of one question are decoded side by side in its own row of the batch: in each round every branch adds a
token to the shared cache, and the mask lets a branch see its stretch of the trunk and its own tokens. Nothing
is copied, and models with a sliding window are right too: the cache keeps every column, and the window is in the mask.

Axes: B examples, N trunk tokens, K branches, J cached tokens, V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad as pad_tensor

from rim.backbone.backbone import Backbone, Reading
from rim.backbone.block_states import HeldBlocks
from rim.backbone.insertion import MemoryCache
from rim.backbone.observer import Observer
from rim.backbone.packing import at, packed
from rim.backbone.reading import Reader, Wanted, appended, read_once
from rim.base.tree import Kind, Node, Tree, TreeBatch, pad

CacheEdit = Callable[[HeldBlocks], None]
"""Changes the keys and values of blocks in place, after trunks have been read and before answers are."""


@dataclass(frozen=True)
class Prompt:
    """A trunk, and where answers may be read from it.

    `branches` are indices of the trunk's nodes after whose last token an answer is read; `cue` tokens begin every
    answer; `hides` are kinds of trunk nodes that answers do not attend to; `start` is the position of an answer's first
    token where it is not the one after its branch point.
    """

    trunk: Tree
    branches: tuple[int, ...]
    cue: tuple[int, ...] = ()
    hides: frozenset[Kind] = frozenset()
    start: int | None = None

    @property
    def positions(self) -> int:
        """How many of a model's positions are taken before the first token of the last answer."""
        return int(self.trunk.flat.position_N.max()) + 1 + len(self.cue)

    @property
    def final(self) -> "Prompt":
        """The prompt of the last answer alone, as deployed, without what only earlier ones read."""
        trunk, branches = self.trunk.pruned_to(self.branches[-1:])
        return replace(self, trunk=trunk, branches=branches)


@dataclass
class _Trunk:
    """Prefilled prompts, over the J columns of the cache.

    `end_BK` column of each branch point; `sees_BKJ` what its branch sees, and `path_BKJ` what its branch point sees of
    it (more, where branches hide the question); `start_BK` position of a branch's next token; `ids_BK` its last token.
    """

    cache: MemoryCache
    position_BJ: Tensor
    end_BK: Tensor
    sees_BKJ: Tensor
    path_BKJ: Tensor
    start_BK: Tensor
    ids_BK: Tensor
    logits_BKV: Tensor


class _Points(NamedTuple):
    """Branch points in trees of N tokens: `end_BK` their last tokens, `path_BKN` which tokens each of them sees,
    `shown_BN` which of a tree answers see, `start_BK` the position of an answer's first token."""

    end_BK: Tensor
    path_BKN: Tensor
    shown_BN: Tensor
    start_BK: Tensor


@torch.no_grad()
def greedy(
    backbone: Backbone,
    prompts: Sequence[Prompt],
    max_new_tokens: int,
    edit: CacheEdit | None = None,
    read: Reader = read_once,
    observe: Observer | None = None,
) -> list[list[list[int]]]:
    """Most likely answer tokens for every prompt and branch, without cue and end token.

    Cues are read together with the trunk, so that the first token of an answer costs the passes of `read` and no more.

    Args:
        prompts: B prompts, each with the same number of branches K.
        max_new_tokens: longest answer, in tokens.
        edit: applied to the blocks in the prefilled cache. Text that comes after memory is then read again against the
            edited states, and so is the last token before each answer, whose logits were computed from the old ones:
            the cue's, or without a cue that of the branch point, which sees what it always does.
        read: how trunks are read.
        observe: looks on; it costs no pass and changes no answer.

    Raises:
        ValueError: `observe` together with `edit`: what an edit leaves is computed past the observer. Or the prompts of
            an edit have different numbers of memory tokens.
    """
    backbone.eval()
    if observe is not None and edit is not None:
        raise ValueError("answers are observed as they are, or with edited states: give `observe` or `edit`, not both")
    if observe is not None:
        read = observe.watching(read, [prompt.branches for prompt in prompts])
    trunk = _prefill(backbone, [_with_cues(prompt) for prompt in prompts], read, edit)
    branches = _Branches(backbone, trunk)
    logits_BKV = trunk.logits_BKV if edit is None else branches.read_again(trunk)
    return _generate(backbone, branches, logits_BKV, max_new_tokens)


def _with_cues(prompt: Prompt) -> Prompt:
    """The prompt with its cue as a leaf at every branch point, from which answers go on."""
    if not prompt.cue:
        return prompt
    cues = [Node(Kind.CUE, prompt.cue, parent, 0.0, 0, prompt.hides, prompt.start) for parent in prompt.branches]
    first = len(prompt.trunk.nodes)
    trunk = Tree((*prompt.trunk.nodes, *cues), prompt.trunk.count)
    return Prompt(trunk, tuple(range(first, first + len(cues))), (), prompt.hides)


def _generate(
    backbone: Backbone, branches: "_Branches", logits_BKV: Tensor, max_new_tokens: int
) -> list[list[list[int]]]:
    tokens: list[Tensor] = []
    done_BK = torch.zeros(logits_BKV.shape[:2], dtype=torch.bool, device=logits_BKV.device)
    hidden = torch.tensor(backbone.special.memory_tokens, device=logits_BKV.device)
    for remaining in range(max_new_tokens, 0, -1):
        token_BK = logits_BKV.index_fill(2, hidden, float("-inf")).argmax(-1)
        done_BK |= token_BK == backbone.special.end
        tokens.append(token_BK.masked_fill(done_BK, -1))
        if done_BK.all() or remaining == 1:
            break
        logits_BKV = branches.feed(token_BK)
    answers_BKT = torch.stack(tokens, dim=2).tolist()
    return [[[token for token in branch if token >= 0] for branch in row] for row in answers_BKT]


def _prefill(backbone: Backbone, prompts: Sequence[Prompt], read: Reader, edit: CacheEdit | None = None) -> _Trunk:
    batch = pad([prompt.trunk for prompt in prompts], backbone.special.pad).to(backbone.device)
    b, n = batch.ids_BN.shape
    points = _branch_points(prompts, batch)
    cache = backbone.new_cache()
    flat_BK = points.end_BK + torch.arange(b, device=backbone.device)[:, None] * n
    outcome = read(backbone, batch, Wanted(flat_BK.flatten()), cache)
    column_BJ = outcome.column_BJ
    if edit is not None:
        edit(HeldBlocks.of(backbone, read, batch, column_BJ, cache))
        column_BJ = _read_again(backbone, batch, column_BJ, cache)
    return _trunk(batch, points, cache, column_BJ, outcome.logits_UV.unflatten(0, points.end_BK.shape))


def _trunk(batch: TreeBatch, points: _Points, cache: MemoryCache, column_BJ: Tensor, logits_BKV: Tensor) -> _Trunk:
    """Trees that are in the cache; `column_BJ` says which token each cached column holds (-1: none)."""
    held_BJ = column_BJ >= 0
    place_BJ = column_BJ.clamp(min=0)
    place_BKJ = place_BJ[:, None].expand(-1, points.end_BK.shape[1], -1)
    path_BKJ = points.path_BKN.gather(2, place_BKJ) & held_BJ[:, None]
    return _Trunk(
        cache=cache,
        position_BJ=batch.position_BN.gather(1, place_BJ),
        end_BK=((place_BKJ == points.end_BK[:, :, None]) & held_BJ[:, None]).int().argmax(2),
        sees_BKJ=path_BKJ & points.shown_BN.gather(1, place_BJ)[:, None],
        path_BKJ=path_BKJ,
        start_BK=points.start_BK,
        ids_BK=batch.ids_BN.gather(1, points.end_BK),
        logits_BKV=logits_BKV,
    )


def _read_again(backbone: Backbone, batch: TreeBatch, column_BJ: Tensor, cache: MemoryCache) -> Tensor:
    """Read the text that comes after memory once more; [B, J] which token each column then holds (-1: none)."""
    visible_BNN = batch.visible_BNN()
    after_BN = (visible_BNN & batch.memory_BN[:, None]).any(2) & ~batch.memory_BN
    if not after_BN.any():
        return column_BJ
    ids_BQ = at(batch.ids_BN, packed(after_BN)[0])
    column_BJ, reading = appended(batch, visible_BNN, after_BN, column_BJ, keep=torch.zeros_like(ids_BQ[:, :1]))
    backbone(ids_BQ, reading, cache)
    return column_BJ


def _branch_points(prompts: Sequence[Prompt], batch: TreeBatch) -> _Points:
    n, device = batch.ids_BN.shape[1], batch.ids_BN.device
    ends, paths, shown = [], [], []
    for prompt in prompts:
        flat, kinds = prompt.trunk.flat, [node.kind for node in prompt.trunk.nodes]
        room = (0, n - len(flat.node_N))
        nodes_N = torch.from_numpy(flat.node_N)
        ends.append(torch.tensor([int((flat.node_N == node).nonzero()[0][-1]) for node in prompt.branches]))
        paths.append(pad_tensor(torch.from_numpy(flat.sees_GG)[list(prompt.branches)][:, nodes_N], room))
        shown.append(pad_tensor(torch.tensor([kind not in prompt.hides for kind in kinds])[nodes_N], room))
    end_BK, path_BKN, shown_BN = (torch.stack(rows).to(device) for rows in (ends, paths, shown))
    start_BK = batch.position_BN.gather(1, end_BK) + 1
    for row, prompt in enumerate(prompts):
        if prompt.start is not None:
            start_BK[row] = prompt.start
    return _Points(end_BK, path_BKN, shown_BN, start_BK)


class _Branches:
    """The growing branches of a prefilled batch, each of which reads one token in a round."""

    def __init__(self, backbone: Backbone, trunk: _Trunk) -> None:
        self.backbone, self.cache = backbone, trunk.cache
        self.key_BJ, self.sees_BKJ, self.next_BK = trunk.position_BJ, trunk.sees_BKJ, trunk.start_BK
        b, k = trunk.end_BK.shape
        self.own_BKK = torch.eye(k, dtype=torch.bool, device=trunk.end_BK.device).expand(b, -1, -1)

    def feed(self, ids_BK: Tensor) -> Tensor:
        """Append a token to every branch; [B, K, V] logits after it."""
        logits_BKV = self._read(ids_BK, self.next_BK, self.sees_BKJ)
        self.next_BK = self.next_BK + 1
        self.sees_BKJ = torch.cat([self.sees_BKJ, self.own_BKK], dim=2)
        return logits_BKV

    def read_again(self, trunk: _Trunk) -> Tensor:
        """[B, K, V] logits after the branch points, read again in the place of what the cache holds of them."""
        old_BK1 = trunk.end_BK[:, :, None]
        position_BK = trunk.position_BJ.gather(1, trunk.end_BK)
        logits_BKV = self._read(trunk.ids_BK, position_BK, trunk.path_BKJ.scatter(2, old_BK1, False))
        lasting_BKK = self.own_BKK & self.sees_BKJ.gather(2, old_BK1)  # one of a hidden kind is seen by itself alone
        self.sees_BKJ = torch.cat([self.sees_BKJ.scatter(2, old_BK1, False), lasting_BKK], dim=2)
        return logits_BKV

    def _read(self, ids_BK: Tensor, position_BK: Tensor, seen_BKJ: Tensor) -> Tensor:
        """[B, K, V] logits after new tokens, each of which sees `seen_BKJ` of the cache, and itself."""
        self.key_BJ = torch.cat([self.key_BJ, position_BK], dim=1)
        keep_BK = torch.arange(ids_BK.shape[1], device=ids_BK.device).expand_as(ids_BK)
        reading = Reading(torch.cat([seen_BKJ, self.own_BKK], dim=2), position_BK, self.key_BJ, keep=keep_BK)
        logits_BKV: Tensor = self.backbone(ids_BK, reading, self.cache).logits
        return logits_BKV
