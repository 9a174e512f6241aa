"""Memory rows as peft held them, in matrices without padding: the slow reference, and what made old runs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import pytest
from peft import LoraConfig
from peft.utils.other import TrainableTokensWrapper

from rim.backbone import adapters, load
from rim.runs import checkpoint
from tests.training.children import Patch


@contextmanager
def rows_held_by_peft(tokens: Sequence[int]) -> Iterator[None]:
    """Adapters that are added inside are those of earlier commits."""
    with pytest.MonkeyPatch.context() as patch:
        _hold(patch, tokens)
        yield


def _hold(patch: pytest.MonkeyPatch, tokens: Sequence[int]) -> None:
    patch.setattr(adapters, "LoraConfig", partial(LoraConfig, trainable_token_indices=list(tokens)))
    patch.setattr(adapters, "MemoryEmbedding", lambda base, _: base)
    patch.setattr(load, "ALIGNED", 1)
    rows = property(lambda head: len(head.token_adapter.base_layer.weight))
    patch.setattr(TrainableTokensWrapper, "out_features", rows, raising=False)
    patch.setattr(checkpoint, "_renamed", lambda name: name)


@dataclass(frozen=True)
class HeldByPeft:
    """A patch: the same for as long as the process lives."""

    tokens: tuple[int, ...]
    also: Patch

    def __call__(self) -> None:
        """Put the patch in place."""
        _hold(pytest.MonkeyPatch(), self.tokens)
        self.also()
