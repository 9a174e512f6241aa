"""The presets have the sizes of the models that they are named after; nothing is allocated."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from rim.backbone.load import scratch_config
from rim.studies.benchmark.settings import load_benchmark

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("name", "parameters"), [("gpt2", 124_439_808), ("llama_1b", 1_235_814_400), ("llama_3b", 3_212_749_824)]
)
def test_a_preset_has_as_many_weights_as_the_published_model(name: str, parameters: int) -> None:
    bench = load_benchmark([ROOT / "conf" / "bench" / f"{name}.yaml"])
    assert bench.vocabulary is not None
    shape = scratch_config(bench.config(bench.entries[0]).backbone.scratch, bench.vocabulary, end=0)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape)
    assert sum(each.numel() for each in model.parameters()) == parameters
