"""Tiny runs that draw nothing and count no cost, which is two thirds of their time; both have tests of their own."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from rim.settings import Config
from rim.training import final_scores, run
from rim.training.cost import TrainingCost

Put = Callable[[Any, str, Any], None]
_QUICK: dict[tuple[Any, str], Callable[..., Any]] = {
    (run, "draw_example"): lambda *_: None,
    (final_scores, "_to_tensorboard"): lambda *_: None,
    (final_scores, "Meter"): lambda *_: SimpleNamespace(plan=lambda *_: TrainingCost({"all": 1.0}, {"all": 1})),
}
_FULL = {(owner, name): getattr(owner, name) for owner, name in _QUICK}


def swiftly(put: Put = setattr) -> None:
    """Draw nothing and count no cost from now on."""
    for (owner, name), quick in _QUICK.items():
        put(owner, name, quick)


def fully(put: Put = setattr) -> None:
    """Draw and count again."""
    for (owner, name), full in _FULL.items():
        put(owner, name, full)


def fit(config: Config) -> int:
    """Train a run swiftly, and leave everything as it was."""
    with pytest.MonkeyPatch.context() as patch:
        swiftly(patch.setattr)
        return run.fit(config)
