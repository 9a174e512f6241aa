"""Frozen matrices that grow are filled up to a multiple of 64 rows, and nothing but their size shows it."""

from pathlib import Path

import pytest
import torch

from rim.backbone import load
from rim.backbone.backbone import Backbone
from rim.backbone.decode import greedy
from rim.backbone.fast import decoder
from rim.backbone.load import load_backbone, load_tokenizer
from rim.backbone.tokenizer import build_tokenizer
from rim.base.tree import pad
from rim.methods.registry import build_method
from rim.runs.checkpoint import load_weights, save_weights
from tests.families import family_model
from tests.models import TEXTS, at, config, example
from tests.numerics.literal import assert_same, gradients

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

TIED = [("gpt2", True), ("gpt2", False), ("llama", True), ("llama", False)]


def made(path: Path, kind: str, tied: bool, training: str = "lora", dtype: str = "fp32") -> Backbone:
    if not path.exists():
        tokenizer = build_tokenizer(TEXTS, 280)
        source = family_model(kind, vocab_size=len(tokenizer), initializer_range=0.3, tie_word_embeddings=tied)
        for part in (source, tokenizer):
            part.save_pretrained(path)
    settings = load.BackboneConfig(name=str(path), training=training, dtype=dtype)  # type: ignore[arg-type]
    settings.lora.rank, settings.lora.dropout = 4, 0.0
    backbone = load_backbone(settings, load_tokenizer(settings, tuple), 0)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in backbone.parameters():
            if parameter.requires_grad:
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return backbone.eval()


def loss(backbone: Backbone) -> torch.Tensor:
    method = build_method(config(), backbone.tokenizer)
    trees = [method.layout(example(seed=seed), at("refinement")) for seed in (0, 1)]
    return method.losses(backbone, pad(trees, backbone.special.pad)).total


@pytest.mark.parametrize(("kind", "tied"), TIED)
def test_numbers_and_files_are_those_of_matrices_without_the_rows(
    tmp_path: Path, kind: str, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligned = made(tmp_path / "m", kind, tied)
    monkeypatch.setattr(load, "ALIGNED", 1)
    bare = made(tmp_path / "m", kind, tied)
    tables = [[each.model.get_input_embeddings(), each.model.get_output_embeddings()] for each in (aligned, bare)]
    assert [[len(table.weight) for table in pair] for pair in tables] == [[320, 320], [283, 283]]
    save_weights(bare, tmp_path / "w.safetensors", {})
    load_weights(aligned, tmp_path / "w.safetensors")
    ours, theirs = loss(aligned.double()), loss(bare.double())
    torch.testing.assert_close(ours, theirs)
    assert_same(gradients(aligned, ours), gradients(bare, theirs))


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize(("kind", "tied"), TIED)
def test_no_token_beyond_the_tokenizer_is_ever_generated(tmp_path: Path, kind: str, tied: bool, dtype: str) -> None:
    """Though the rows be such that each would always be the most likely one."""
    backbone = made(tmp_path / "m", kind, tied, dtype=dtype)
    prompts = [build_method(config(), backbone.tokenizer).prompt(example(length, seed=length)) for length in (9, 5)]
    before, weight = greedy(backbone, prompts, 12), backbone.model.get_output_embeddings().weight
    with torch.no_grad():
        weight[283:] = 100 * weight[:283].abs().max() * torch.randn(37, weight.shape[1]).sign()
    assert greedy(backbone, prompts, 12) == decoder("static")(backbone, prompts, 12) == before


def test_matrices_that_train_keep_their_size(tmp_path: Path) -> None:
    """They are stored as they are, and older runs go on with theirs."""
    backbone = made(tmp_path / "m", "gpt2", True, "full")
    assert (
        len(backbone.model.get_input_embeddings().weight) == backbone.model.get_output_embeddings().out_features == 283
    )
