"""Finished tiny runs that are asked and exported."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rim.settings.load import load
from rim.training.run import fit
from tests.training.test_contract import SHORT, swiftly
from tests.variants import VARIANTS

Trained = Callable[..., Path]


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The folder of a finished run of a variant (`tests/variants.py`) with these overrides; each is trained once."""
    known: dict[tuple[str, ...], Path] = {}

    def run(variant: str = "memory_blocks", *more: str) -> Path:
        key = (variant, *more)
        if key not in known:
            folder = tmp_path_factory.mktemp("deployed")
            own = ("evaluation.max_new_tokens=null", f"run.folder={folder}", f"data.cache={folder}/cache")
            with pytest.MonkeyPatch.context() as patch:
                swiftly(patch.setattr)
                assert fit(load([], [*SHORT, *VARIANTS[variant], *own, *more])) == 0
            known[key] = folder / "run"
        return known[key]

    return run
