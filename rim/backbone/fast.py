"""The same answers as `decode.greedy`, token by token, through tensors whose shapes and places never change.

What it is for: at one question a pass of a large model takes less time on a GPU than launching its kernels one by one.
With nothing allocated and nothing asked of the GPU between passes, a whole pass can be compiled, or recorded once as a
CUDA graph and replayed by a single call. Lengths are rounded up, so that few shapes have to be prepared.

    plain       `decode.greedy`: shapes grow with the answer
    static      fixed shapes, called operation by operation
    compiled    fixed shapes under torch.compile (on a GPU with mode="reduce-overhead")
    graph       fixed shapes, recorded as CUDA graphs

Trunks that are read in one pass are prefilled so, too. What reads in several passes (Coconut, CODI, looped), or lets
memory enter above layer 0, is prefilled by the plain code and its cache is copied; every further token is a fixed pass.
Whether all answers have ended is looked up every `CHECK_EVERY` tokens; in between nothing waits for the device.

Weights may change in place between answers, as training changes them: passes read them where they lie. Weights that lie
elsewhere (another model, or one that has moved to another device) have everything prepared anew. What changes the
passes themselves, such as merging adapters or putting new parameters in, needs a decoder of its own.

The passes of all three are the same, and in them nothing goes between the device and the program. `tests/device` holds
that on a pretended device, and `experiments/gpu` records what was run on a real one.

Axes: B examples, N trunk columns, K branches, T generated tokens, J columns of the cache, U wanted logits,
V vocabulary.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from types import FunctionType
from typing import Any, NamedTuple, Protocol, get_args

import torch
from torch import Tensor, nn

from rim.backbone.backbone import Backbone, Reading
from rim.backbone.columns import Columns, Sizes
from rim.backbone.compiled import require_compiler
from rim.backbone.decode import Prompt, _prefill, _Trunk, _with_cues, greedy
from rim.backbone.insertion import MemoryCache
from rim.backbone.layer_inputs import changed
from rim.backbone.reading import Outcome, Reader, Wanted, read_once
from rim.base.errors import UserError
from rim.base.tree import TreeBatch
from rim.settings import DecodeMode

CHECK_EVERY = 16
"""Tokens between two looks at whether all answers have ended."""
TRUNK_STEP, TOKEN_STEP, COLUMN_STEP = 32, 16, 16
"""Columns of trunks, generated tokens, and columns in all are rounded up to multiples of these. The last, because fused
attention on a GPU reads masks in rows of such a length, and would copy others in every layer of every pass."""


class DecodeError(UserError):
    """A way of decoding that there is not, or not here."""


class Decode(Protocol):
    """A way of decoding; `greedy` can do more, which is asked of it by name."""

    def __call__(
        self, backbone: Backbone, prompts: Sequence[Prompt], max_new_tokens: int, *, read: Reader = read_once
    ) -> list[list[list[int]]]: ...


def decoder(mode: str) -> Decode:
    """A way of decoding by its name; keep it, since it holds what it has prepared.

    Raises:
        DecodeError: there is no such way, or it needs a GPU.
        CompilerError: it needs a compiler.
    """
    if mode not in get_args(DecodeMode):
        raise DecodeError(f"decode = '{mode}': there is no such way; there are {', '.join(get_args(DecodeMode))}")
    if mode == "graph" and not torch.cuda.is_available():
        raise DecodeError("decode = 'graph': CUDA graphs need a GPU of NVIDIA, and none is here; use plain or compiled")
    if mode == "compiled":
        kind = "cuda" if torch.cuda.is_available() else "cpu"
        require_compiler(kind, "decode = 'compiled'", "use plain or static")
    return greedy if mode == "plain" else FastDecoder(mode)


class Shape(NamedTuple):
    """Sizes B, N, K and T of everything that is prepared."""

    b: int
    n: int
    k: int
    t: int


class FastDecoder:
    """`greedy` with fixed shapes; what was prepared for a backbone and a shape is used again.

    Args:
        mode: `static`, `compiled` or `graph`.
        options: of torch.compile, where another than its default is wanted.
    """

    def __init__(self, mode: str, **options: Any) -> None:
        self.mode, self.options = mode, options
        self.backbone: Backbone | None = None
        self.weights: list[nn.Parameter] = []
        self.places: list[int] = []
        self.rooms: dict[Shape, _Room] = {}
        self.last: _Room | None = None

    @property
    def cache_bytes(self) -> int:
        """Memory of the cache that the last answers were decoded in."""
        return self.last.columns.bytes if self.last else 0

    @torch.inference_mode(False)  # a trainer's validation has it on, and its tensors could not be written to outside
    @torch.no_grad()
    def __call__(
        self, backbone: Backbone, prompts: Sequence[Prompt], max_new_tokens: int, *, read: Reader = read_once
    ) -> list[list[list[int]]]:
        """Most likely answer tokens for every prompt and branch, as `greedy` gives them."""
        backbone.eval()
        cued = [_with_cues(prompt) for prompt in prompts]
        inserted = backbone.insertion is not None and backbone.insertion.acts
        with backbone.memory_as_tokens():  # generated tokens are no memory
            self._prepare(backbone)
        fixed = read is read_once and not inserted
        trunk = self._read(backbone, cued, max_new_tokens) if fixed else _prefill(backbone, cued, read)
        with backbone.memory_as_tokens():
            return self._room(trunk, max_new_tokens).answer(trunk, max_new_tokens)

    def _prepare(self, backbone: Backbone) -> None:
        """Forget what belongs to another backbone, or to weights that have moved."""
        if self.backbone is backbone and self.places == [weight.data_ptr() for weight in self.weights]:
            return
        self.backbone, self.last, self.rooms = backbone, None, {}
        self.weights = list(backbone.parameters())  # kept, since walking through a model takes a millisecond
        self.places = [weight.data_ptr() for weight in self.weights]
        self.sizes = Sizes.of(backbone)

    def _read(self, backbone: Backbone, prompts: Sequence[Prompt], max_new_tokens: int) -> _Trunk:
        """The trunks in one pass of a fixed shape; the room's own cache stands in the place of a growing one."""

        def read(_: Backbone, batch: TreeBatch, wanted: Wanted, __: MemoryCache | None = None) -> Outcome:
            b, n = batch.ids_BN.shape
            return self._at(b, n, len(wanted.logits_U) // b, max_new_tokens).read(batch, wanted)

        return _prefill(backbone, prompts, read)

    def _room(self, trunk: _Trunk, max_new_tokens: int) -> "_Room":
        """Where a trunk's answers are decoded: the room that has read it, or one that its cache is copied to."""
        if not len(trunk.cache):
            assert self.last is not None
            return self.last
        (b, k), columns = trunk.end_BK.shape, trunk.position_BJ.shape[1]
        room = self._at(b, columns, k, max_new_tokens)
        room.take_over(trunk.cache)
        return room

    def _at(self, b: int, n: int, k: int, t: int) -> "_Room":
        """The room for these sizes, rounded up."""
        shape = Shape(b, _up(n, TRUNK_STEP), k, _up(t, TOKEN_STEP))
        if shape not in self.rooms:
            assert self.backbone is not None
            self.rooms[shape] = _Room(self.backbone, self.sizes, shape, self.mode, self.options)
        self.last = self.rooms[shape]
        return self.last


class _Room:
    """All tensors of one shape, and the two passes over them, which take and give nothing."""

    def __init__(self, backbone: Backbone, sizes: Sizes, shape: Shape, mode: str, options: dict[str, Any]) -> None:
        b, n, k, t = self.shape = shape
        self.backbone, self.mode, self.options, device = backbone, mode, options, backbone.device
        j = _up(n + k * t + 1, COLUMN_STEP)
        self.columns = Columns(sizes, b, j, k, device)

        def zeros(*size: int, dtype: torch.dtype = torch.long) -> Tensor:
            return torch.zeros(size, dtype=dtype, device=device)

        self.ids_BN, self.position_BN, self.end_BK = zeros(b, n), zeros(b, n), zeros(b, k)
        self.visible_BNN = zeros(b, n, n, dtype=torch.bool)
        self.sees_BKJ, self.lacking_BJ = zeros(b, k, j, dtype=torch.bool), zeros(b, j, dtype=torch.bool)
        self.key_BJ, self.next_BK, self.token_BK = zeros(b, j), zeros(b, k), zeros(b, k)
        self.tokens_BKT, self.done_BK = zeros(b, k, t + 1), zeros(b, k, dtype=torch.bool)
        self.logits_BKV = zeros(b, k, sizes.vocabulary, dtype=sizes.dtype)
        self.step = zeros(1)
        self.branch_K, self.place_J = torch.arange(k, device=device), torch.arange(j, device=device)
        self.hidden = torch.tensor(backbone.special.memory_tokens, device=device)

    def read(self, batch: TreeBatch, wanted: Wanted) -> Outcome:
        """The logits at the branch points of trunks; padding sees itself alone."""
        b, n = batch.ids_BN.shape
        self.lacking_BJ.zero_()
        self.visible_BNN.copy_(torch.eye(self.shape.n, dtype=torch.bool, device=self.visible_BNN.device))
        self.visible_BNN[:, :n, :n] = batch.visible_BNN()
        self.ids_BN.fill_(self.backbone.special.pad)[:, :n] = batch.ids_BN
        self.position_BN.zero_()[:, :n] = batch.position_BN
        first_B = torch.arange(b, device=self.end_BK.device) * n
        self.end_BK.copy_(wanted.logits_U.view(b, -1) - first_B[:, None])
        self.prefill()
        place_N = torch.arange(n, device=self.end_BK.device)
        return Outcome(self.logits_BKV.flatten(0, 1), None, torch.where(batch.node_BN >= 0, place_N, -1))

    def take_over(self, cache: MemoryCache) -> None:
        """Go on from what the plain code has read."""
        lacking_BJ = self.columns.take_over(cache)
        self.lacking_BJ.zero_() if lacking_BJ is None else self.lacking_BJ.copy_(lacking_BJ)

    def answer(self, trunk: _Trunk, max_new_tokens: int) -> list[list[list[int]]]:
        """Tokens of every branch, without the end token."""
        advance = self.advance  # recording it runs it, so it is prepared before anything counts
        self._begin(trunk)
        for made in range(1, max_new_tokens):
            if made % CHECK_EVERY == 0 and bool(self.done_BK.all()):
                break
            advance()
        answers_BKT = self.tokens_BKT[:, :, :max_new_tokens].tolist()
        return [[[token for token in branch if token >= 0] for branch in row] for row in answers_BKT]

    def _begin(self, trunk: _Trunk) -> None:
        j = trunk.position_BJ.shape[1]
        self.sees_BKJ.zero_()[:, :, :j] = trunk.sees_BKJ
        self.key_BJ.zero_()[:, :j] = trunk.position_BJ
        self.next_BK.copy_(trunk.start_BK)
        self.done_BK.zero_()
        self.tokens_BKT.fill_(-1)
        self.step.zero_()
        self._choose(trunk.logits_BKV)

    @cached_property
    def prefill(self) -> Callable[[], None]:
        """`_read_trunks`, as the mode runs it."""
        return self._as_prepared(self._read_trunks)

    @cached_property
    def advance(self) -> Callable[[], None]:
        """`_add_tokens`, as the mode runs it; a step of layers below an insertion sees no memory."""
        insertion = self.backbone.insertion
        if insertion is None or insertion.layer == 0:
            return self._as_prepared(self._add_tokens)
        below = insertion._layers[:-1]

        def hide(mask: Tensor) -> Tensor:
            return mask.masked_fill(self.lacking_BJ[:, None, None], torch.finfo(mask.dtype).min)

        def advance() -> None:
            with changed(below, {"attention_mask": hide}):
                inner()

        with changed(below, {"attention_mask": hide}):
            inner = self._as_prepared(self._add_tokens)
        return advance

    def _read_trunks(self) -> None:
        reading = Reading(self.visible_BNN, self.position_BN, self.position_BN, self.end_BK)
        self.logits_BKV.copy_(self.backbone(self.ids_BN, reading, self.columns.filling).logits)

    def _add_tokens(self) -> None:
        """Feed every branch its last token, and choose its next one."""
        b, n, k, _ = self.shape
        column_K = n + self.step * k + self.branch_K
        self.columns.column_Q.copy_(column_K)
        self.sees_BKJ.logical_or_(self.place_J == column_K[:, None])
        self.key_BJ.index_copy_(1, column_K, self.next_BK)
        reading = Reading(self.sees_BKJ, self.next_BK, self.key_BJ, keep=self.branch_K.expand(b, -1))
        logits_BKV = self.backbone(self.token_BK, reading, self.columns.appending).logits
        self.next_BK.add_(1)
        self.step.add_(1)
        self._choose(logits_BKV)

    def _choose(self, logits_BKV: Tensor) -> None:
        self.token_BK.copy_(logits_BKV.index_fill(2, self.hidden, float("-inf")).argmax(-1))
        self.done_BK.logical_or_(self.token_BK == self.backbone.special.end)
        self.tokens_BKT.index_copy_(2, self.step, self.token_BK.masked_fill(self.done_BK, -1)[:, :, None])

    def _as_prepared(self, work: Callable[[], None]) -> Callable[[], None]:
        if self.mode == "compiled":
            return self._compiled(work)
        return _recorded(work) if self.mode == "graph" else work

    def _compiled(self, work: Any) -> Callable[[], None]:
        """The work under torch.compile, as a function of its own: of one that rooms share, only a few are kept."""
        own = FunctionType(work.__func__.__code__.replace(), work.__func__.__globals__)
        for tensor in self._tensors():
            torch._dynamo.mark_static_address(tensor)
        default = {"mode": "reduce-overhead"} if self.backbone.device.type == "cuda" else {}
        compiled = torch.compile(own, fullgraph=True, dynamic=False, **{**default, **self.options})
        return lambda: compiled(self)

    def _tensors(self) -> list[Tensor]:
        return [*(value for value in vars(self).values() if isinstance(value, Tensor)), *self.columns.tensors()]


def _recorded(work: Callable[[], None]) -> Callable[[], None]:
    """The work as a CUDA graph, after two runs beside the main stream, as the documentation of torch asks for."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(2):
            work()
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def _up(length: int, step: int) -> int:
    """The next multiple of `step`."""
    return -(-length // step) * step
