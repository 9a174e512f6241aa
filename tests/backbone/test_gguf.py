"""GGUF files: their weights and their tokenizer become a plain model's, or the file is refused."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import regex
import torch
from gguf import GGMLQuantizationType
from transformers import AutoModelForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from rim.backbone.backbone import BackboneError
from rim.backbone.load import load_backbone, load_tokenizer
from rim.backbone.pretrained import fetch_tokenizer, load_pretrained
from rim.backbone.selfcheck import self_check
from rim.backbone.tokenizer import build_tokenizer
from rim.settings import Backbone as Settings
from tests.backbone.test_selfcheck import trees
from tests.families import family_model
from tests.gguf_files import write_gguf
from tests.models import TEXTS

FILE = "tiny.gguf"
NUMBERS = ["12 and  2/5 of 12345", "x  7", " 3.14\n\n 15", "a1b22c333", "½ of ²", "no digits,  two spaces \n"]


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    """With merges of spaces and of digits, which a rule that splits digits must keep apart."""
    return build_tokenizer([*TEXTS, "2  2  2   3   4 \n\n 5", *NUMBERS] * 3, 330)


@pytest.fixture(scope="module")
def model(tokenizer: PreTrainedTokenizerFast) -> PreTrainedModel:
    return family_model("llama", vocab_size=len(tokenizer), tie_word_embeddings=False)


def settings(folder: Path) -> Settings:
    return Settings(name=str(folder), gguf_file=FILE, training="full")


@pytest.mark.parametrize("tied", [False, True])
def test_the_weights_are_those_of_the_file(tmp_path: Path, tokenizer: PreTrainedTokenizerFast, tied: bool) -> None:
    model = family_model("llama", vocab_size=len(tokenizer), tie_word_embeddings=tied)
    write_gguf(tmp_path / FILE, model, tokenizer)
    found = load_pretrained(settings(tmp_path))
    expected = model.state_dict()
    assert found.config.tie_word_embeddings == tied
    assert found.state_dict().keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in found.state_dict().items())


def test_quantised_weights_are_unpacked(
    tmp_path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    """Q8_0 keeps blocks of 32 numbers as whole multiples, up to 127, of one number, which is rounded to 11 bits."""
    write_gguf(tmp_path / FILE, model, tokenizer, kind=GGMLQuantizationType.Q8_0)
    found, name = load_pretrained(settings(tmp_path)).state_dict(), "model.layers.1.mlp.down_proj.weight"
    blocks = model.state_dict()[name].numpy().reshape(-1, 32)
    scale = np.abs(blocks).max(1, keepdims=True) / 127
    expected = np.round(blocks / scale) * scale.astype(np.float16).astype(np.float32)
    np.testing.assert_allclose(found[name].numpy().reshape(-1, 32), expected, atol=1e-7)


def test_the_model_trains_saves_and_reads_trees(
    tmp_path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    write_gguf(tmp_path / FILE, model, tokenizer)
    ours = load_tokenizer(settings(tmp_path), lambda: [])
    backbone = load_backbone(settings(tmp_path), ours, seed=0)
    self_check(backbone, trees(backbone))
    assert all(weight.requires_grad for weight in backbone.parameters())
    backbone.model.save_pretrained(tmp_path / "saved")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "saved").state_dict()
    assert all(torch.equal(weight, again[name]) for name, weight in backbone.model.state_dict().items())


def smollm(text: str, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """llama.cpp: every digit is a piece, the rest is split by the rule of GPT-2, and each piece is merged."""
    gpt2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    pieces = [piece for part in regex.split(r"(\p{N})", text) for piece in regex.findall(gpt2, part)]
    return [id for piece in pieces for id in _merged(piece, tokenizer)]


def _merged(piece: str, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """Token ids of a piece that nothing splits any more."""
    alone = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str(piece)
    spelt = "".join(part for part, _ in alone)
    return [token.id for token in tokenizer.backend_tokenizer.model.tokenize(spelt)]


def test_digits_are_split_as_the_rule_of_the_file_says(
    tmp_path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    write_gguf(tmp_path / FILE, model, tokenizer)
    found = fetch_tokenizer(settings(tmp_path))
    assert [found(text)["input_ids"] for text in NUMBERS] == [smollm(text, tokenizer) for text in NUMBERS]
    assert [found(text)["input_ids"] for text in NUMBERS] == [tokenizer(text)["input_ids"] for text in NUMBERS]


def test_other_rules_are_those_of_transformers(
    tmp_path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    write_gguf(tmp_path / FILE, model, tokenizer, rule="gpt-2")
    assert fetch_tokenizer(settings(tmp_path)).tokenize("x  7") == ["x", "Ġ", "Ġ", "7"]
    write_gguf(tmp_path / "other.gguf", model, tokenizer)
    split = fetch_tokenizer(Settings(name=str(tmp_path), gguf_file="other.gguf"))
    assert split.tokenize("x  7") == ["x", "ĠĠ", "7"]


REFUSED = {
    "unknown family": (
        {"family": "fancy"},
        r"its configuration cannot be loaded: GGUF model with architecture fancy is not supported yet\..* "
        r"backbone.gguf_file=tiny.gguf has to be of a family that transformers reads: .*gemma3, .*llama, .*qwen3",
    ),
    "missing": (
        {"without": {"blk.1.ffn_up.weight"}},
        "1 missing, so they would be random: model.layers.1.mlp.up_proj.weight",
    ),
    "scaled": (
        {"change": lambda writer: writer.add_tensor("rope_freqs.weight", np.ones(4, np.float32))},
        r"scales its rotary positions \(rope_freqs.weight\), and transformers loads such a file without the scale.*"
        r"repository with safetensors files",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_would_load_in_part_is_refused(
    tmp_path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, case: str
) -> None:
    given, message = REFUSED[case]
    write_gguf(tmp_path / FILE, model, tokenizer, **given)
    with pytest.raises(BackboneError, match=message):
        load_pretrained(settings(tmp_path))


def test_what_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(BackboneError, match=r"its tokenizer cannot be loaded: .*tiny.gguf.*backbone.gguf_file=tiny"):
        fetch_tokenizer(settings(tmp_path))
    write_gguf(tmp_path / FILE, model, tokenizer)
    with pytest.raises(BackboneError, match=r"It holds GGUF: backbone.gguf_file=NAME reads one of tiny.gguf"):
        load_pretrained(Settings(name=str(tmp_path)))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackboneError, match=r"gguf_file=tiny.gguf needs the package gguf, .*pip install 'rim\[gguf\]'"):
        fetch_tokenizer(settings(tmp_path))
