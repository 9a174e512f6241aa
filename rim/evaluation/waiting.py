"""The clock: how long a batch of questions waits for its answers, and for how many passes, positions and tokens.

Measured as a model would be deployed: only the final answer is decoded. Time runs from the tokens of the question, with
the making of the prompt, to the answer's tokens as numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from rim.backbone.backbone import Backbone
from rim.backbone.decode import greedy
from rim.backbone.fast import Decode
from rim.data.encode import EncodedExample
from rim.methods.method import Method

Seen = TypeVar("Seen")


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
    """Who is asked: a model with its method, and a way of decoding."""

    backbone: Backbone
    method: Method
    decode: Decode = greedy

    def watched(
        self, batch: Sequence[EncodedExample], max_new_tokens: int, begins: Callable[[Sequence[int]], int] | None = None
    ) -> Wait:
        """Answer a batch once, plainly, and take the run apart.

        The decode loop feeds every generated token but the last, so the passes beyond those came before the first one.

        Args:
            batch: questions that are answered together.
            max_new_tokens: longest answer, in tokens.
            begins: generated tokens → how many come before the answer's first; None: as the method reads them.
        """
        begins, device = begins or self.method.answer_begins, self.backbone.device
        with each_pass(self.backbone, lambda values: (now(device), _inputs(values).shape[1])) as passes:
            begin = now(device)
            texts = replace(self, decode=greedy)._answer(batch, max_new_tokens)
            end = now(device)
        tokens = tuple(min(len(text) + 1, max_new_tokens) for text in texts)
        prefill = len(passes) - (max(tokens) - 1)
        first = min(len(passes), prefill + max(begins(text) for text in texts))
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

    def seconds(self, batch: Sequence[EncodedExample], max_new_tokens: int) -> float:
        """How long a batch waits for so many tokens, with nothing watched while the clock runs."""
        begin = now(self.backbone.device)
        self._answer(batch, max_new_tokens)
        return now(self.backbone.device) - begin

    def _answer(self, batch: Sequence[EncodedExample], max_new_tokens: int) -> list[list[int]]:
        prompts = [self.method.prompt(example).final for example in batch]
        with torch.no_grad(), torch.autocast(self.backbone.device.type, enabled=False):
            answers = self.method.answer(self.backbone, prompts, max_new_tokens, decode=self.decode)
        return [branches[-1] for branches in answers]


@contextmanager
def each_pass(backbone: Backbone, look: Callable[[list[Any]], Seen]) -> Iterator[list[Seen]]:
    """Collects what `look` makes of the arguments of every pass inside the block, as soon as it has ended."""
    seen: list[Seen] = []

    def note(_: nn.Module, args: tuple[Any, ...], named: dict[str, Any], __: Any) -> None:
        seen.append(look([*args, *named.values()]))

    with backbone.register_forward_hook(note, with_kwargs=True):
        yield seen


def _inputs(values: list[Any]) -> Tensor:
    return next(value for value in values if isinstance(value, Tensor))


def now(device: torch.device) -> float:
    """Seconds, once all work of the device is done."""
    if device.type in ("cuda", "mps"):
        torch.accelerator.synchronize()
    return perf_counter()
