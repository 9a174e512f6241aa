"""A batch of questions under the clock: how long it waits, and for how many passes, positions and tokens.

Measured as a model would be deployed: only the final answer is decoded. Time runs from the tokens of the question, with
the making of the prompt, to the answer's tokens as numbers.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn

from rim.backbone.backbone import Backbone
from rim.backbone.decode import greedy
from rim.backbone.fast import Decode
from rim.data.encode import EncodedExample
from rim.methods.method import Method


@dataclass(frozen=True)
class Wait:
    """One batch answered once: seconds and counts as in `Latency`, and `tokens` by question."""

    first: float
    full: float
    prefill_passes: int
    passes_to_first: int
    passes: int
    positions_to_first: int
    positions: int
    tokens: tuple[int, ...]


@dataclass(frozen=True)
class Asked:
    """Who is asked: a model with its method, a way of decoding, and the longest answer in tokens."""

    backbone: Backbone
    method: Method
    max_new_tokens: int
    decode: Decode = greedy

    def watched(self, batch: Sequence[EncodedExample]) -> Wait:
        """Answer a batch once, plainly, and take the run apart.

        The decode loop feeds every generated token but the last, so the passes beyond those came before the first one.
        """
        with _watched(self.backbone) as passes:
            begin = _now(self.backbone.device)
            texts = self._answer(batch, self.max_new_tokens, greedy)
            end = _now(self.backbone.device)
        tokens = tuple(min(len(text) + 1, self.max_new_tokens) for text in texts)
        prefill = len(passes) - (max(tokens) - 1)
        first = min(len(passes), prefill + max(self.method.answer_begins(text) for text in texts))
        times, positions = zip(*passes, strict=True)
        return Wait(
            first=times[first - 1] - begin,
            full=end - begin,
            prefill_passes=prefill,
            passes_to_first=first,
            passes=len(passes),
            positions_to_first=sum(positions[:first]),
            positions=sum(positions),
            tokens=tokens,
        )

    def timed(self, batch: Sequence[EncodedExample], plain: Wait) -> Wait:
        """The same counts with the times of this way of decoding.

        Nobody can look into a pass that is compiled or recorded, so each time is a call of its own: one that generates
        up to the answer's first token, and one to its end.

        Args:
            plain: what `watched` gives for this batch.
        """
        to_first = plain.passes_to_first - plain.prefill_passes + 1
        return replace(plain, first=self._seconds(batch, to_first), full=self._seconds(batch, self.max_new_tokens))

    def _seconds(self, batch: Sequence[EncodedExample], tokens: int) -> float:
        begin = _now(self.backbone.device)
        self._answer(batch, tokens, self.decode)
        return _now(self.backbone.device) - begin

    def _answer(self, batch: Sequence[EncodedExample], tokens: int, decode: Decode) -> list[list[int]]:
        """Tokens of the final answers."""
        prompts = [self.method.prompt(example).final for example in batch]
        with torch.no_grad(), torch.autocast(self.backbone.device.type, enabled=False):
            answers = self.method.answer(self.backbone, prompts, tokens, decode=decode)
        return [branches[-1] for branches in answers]


@contextmanager
def _watched(backbone: Backbone) -> Iterator[list[tuple[float, int]]]:
    """Collects (time of its end, positions of each input) of every pass inside the block."""
    passes: list[tuple[float, int]] = []

    def note(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any], __: Any) -> None:
        inputs = next(value for value in (*args, *named.values()) if isinstance(value, Tensor))
        passes.append((_now(backbone.device), inputs.shape[1]))

    handle = backbone.register_forward_hook(note, with_kwargs=True)
    try:
        yield passes
    finally:
        handle.remove()


def _now(device: torch.device) -> float:
    """Seconds, once all work of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter()
