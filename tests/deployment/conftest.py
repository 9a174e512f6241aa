"""Finished tiny runs that are asked and exported."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rim.data.prepare import training_texts
from rim.settings.load import load
from tests.deployment.pretrained import write_base
from tests.swift import fit
from tests.training.test_contract import SHORT
from tests.variants import VARIANTS

Trained = Callable[..., Path]
TYPES = {"fp32": (), "bf16": ("backbone.dtype=bf16", "training.precision=bf16")}


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The folder of a finished run of a variant (`tests/variants.py`) with these overrides; each is trained once."""
    known: dict[tuple[str, ...], Path] = {}

    def run(variant: str = "memory_blocks", *more: str) -> Path:
        key = (variant, *more)
        if key not in known:
            folder = tmp_path_factory.mktemp("deployed")
            own = ("evaluation.max_new_tokens=null", f"run.folder={folder}", f"data.cache={folder}/cache")
            assert fit(load([], [*SHORT, *VARIANTS[variant], *own, *more])) == 0
            known[key] = folder / "run"
        return known[key]

    return run


@pytest.fixture(scope="session", params=["fp32", "bf16"])
def adapted(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished LoRA run on `write_base`'s model, frozen in either type."""
    folder = tmp_path_factory.mktemp("adapted")
    model = ("backbone.source=pretrained", f"backbone.name={folder / 'base'}", "backbone.training=lora")
    own = ("evaluation.max_new_tokens=null", f"run.folder={folder}", f"data.cache={folder}/cache")
    config = load([], [*SHORT, *own, "memory.blocks=3", *model, "backbone.lora.rank=4", *TYPES[request.param]])
    write_base(folder / "base", list(training_texts(config.data)))
    assert fit(config) == 0
    return folder / "run"
