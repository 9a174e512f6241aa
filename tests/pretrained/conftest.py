"""The real model that these tests read: `make smollm2` puts it there, and `make test-pretrained` runs them."""

from pathlib import Path

import pytest

from rim.backbone.backbone import Backbone
from rim.backbone.load import load_backbone, run_tokenizer
from rim.settings import Config
from rim.settings.load import load

FOLDER = Path(__file__).resolve().parents[2] / "models" / "smollm2-135m"
LINE = (
    "data.tracking.people=3", "data.tracking.max_steps=2", "data.tracking.train_rows=8", "data.tracking.test_rows=2",
    "data.validation_rows=2", "data.max_steps=2", "data.template=chat", "memory.blocks=2",
    "memory.token_source=reserved", "training.accelerator=cpu", "training.threads=1",
)  # fmt: skip
"""Questions of forty tokens in the model's chat template, two blocks after them, in tokens that it has spare."""


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """The folder of SmolLM2-135M-Instruct."""
    if not (FOLDER / "config.json").is_file():
        pytest.fail(f"'{FOLDER}' holds no model: run `make smollm2`", pytrace=False)
    return FOLDER


@pytest.fixture(scope="session")
def config(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Config:
    """RiM, every weight trained."""
    cache = tmp_path_factory.mktemp("cache")
    return load([], [*LINE, f"backbone.name={smollm2}", "backbone.training=full", f"data.cache={cache}"])


@pytest.fixture(scope="session")
def backbone(config: Config) -> Backbone:
    """The model as it is, with memory tokens."""
    return load_backbone(config.backbone, run_tokenizer(config, tuple), seed=0).eval()
