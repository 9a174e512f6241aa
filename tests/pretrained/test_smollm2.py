"""What only a real model shows: its tokenizer, its chat template, and a run of both stages from training to export."""

import signal
from pathlib import Path

import pytest
import regex
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rim.backbone.backbone import Backbone
from rim.backbone.selfcheck import self_check
from rim.base.vocabulary import taken
from rim.data.prepare import prepare
from rim.deployment.export import Wanted, export
from rim.deployment.model import load as load_model
from rim.methods.registry import build_method
from rim.settings import Config
from rim.settings.load import load
from rim.training.curriculum import Curriculum
from rim.training.plan import make_plan
from tests.pretrained.conftest import LINE
from tests.swift import fit
from tests.training.children import Strike

pytestmark = [
    pytest.mark.pretrained,
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated"),  # peft asks for it
]
NUMBERS = [
    "and  2/5 of 12345",
    "x  7",
    " 3.14\n\n 15",
    "<<48/2=24>>",
    "#### 1,080",
    "½ of ²",
    "no digits,  two spaces \n",
]
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


@pytest.mark.parametrize("text", NUMBERS)
def test_texts_with_digits_are_split_by_the_models_own_rule(smollm2: Path, text: str) -> None:
    """llama.cpp's rule `smollm`: every digit is a piece, the rest is split by the rule of GPT-2; no token spans two."""
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    pieces = [piece for part in regex.split(r"(\p{N})", text) for piece in regex.findall(GPT2, part)]
    apart = [id for piece in pieces for id in tokenizer(piece, add_special_tokens=False)["input_ids"]]
    assert tokenizer(text)["input_ids"] == apart and tokenizer.decode(apart) == text


def test_a_question_is_the_chat_that_the_model_knows(config: Config, backbone: Backbone) -> None:
    splits = prepare(config.data, backbone.tokenizer, 0)
    example = splits.train[0]
    text = (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        f"<|im_start|>user\n{example.text}<|im_end|>\n<|im_start|>assistant\n"
    )
    assert example.question.tolist() == backbone.tokenizer(text)["input_ids"]
    assert backbone.tokenizer.eos_token == "<|im_end|>" and backbone.special.end == 2
    assert list(taken(backbone.tokenizer).values()) == ["<repo_name>", "<reponame>", "<file_sep>"]
    assert backbone.embed(torch.tensor([0])).shape[-1] == 576


@torch.no_grad()
def test_packed_is_separate_and_batched_is_single(config: Config, backbone: Backbone) -> None:
    splits, method = prepare(config.data, backbone.tokenizer, 0), build_method(config, backbone.tokenizer)
    examples = [splits.train[row] for row in (0, 1)]
    for stage in make_plan(config.stages, config.training, len(splits.train)).stages:
        check = self_check(backbone, [method.layout(example, stage.progress(0)) for example in examples])
        assert check.difference < check.tolerance < 1e-2
    prompts = [method.prompt(example) for example in examples]
    together = method.answer(backbone, prompts, 4)
    assert together == [method.answer(backbone, [prompt], 4)[0] for prompt in prompts]


def test_a_lora_run_of_both_stages_resumes_and_is_exported(
    smollm2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = (
        f"backbone.name={smollm2}", "backbone.lora.rank=4", f"run.folder={tmp_path}", f"data.cache={tmp_path}/cache",
        "stages.*.duration=1 step", "stages.*.warmup=0 steps", "training.batch_size=2", "training.save_every=1 step",
        "training.validate_every=1 step", "evaluation.controls=[]", "evaluation.batch_size=2",
    )  # fmt: skip
    config = load([], [*LINE, *own])
    monkeypatch.setattr(Curriculum, "on_train_batch_end", Curriculum.on_train_batch_end)  # put back afterwards
    Strike("on_train_batch_end", 1, signal.SIGTERM)()
    assert fit(config) == 143
    assert fit(config) == 0
    assert "resumed       after update 1 of 2" in capsys.readouterr().out
    outcome = export(tmp_path / "run", tmp_path / "model", Wanted())
    assert outcome.equal == outcome.questions == 2
    question = load_model(tmp_path / "run").prompt("Who?")
    assert len(question.trunk.nodes) == 3
    exported = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    assert exported.config.vocab_size == 49_152
