"""A run whose questions are chats ends answers as its model ends a turn, and its export writes the same tokens."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from rim.backbone.load import run_tokenizer
from rim.backbone.tokenizer import add_memory_tokens
from rim.base.errors import UserError
from rim.deployment.check import ODD
from rim.deployment.export import Wanted, export
from rim.deployment.model import load
from rim.deployment.prompt import prompt_text
from rim.deployment.template import chat_template
from rim.methods.registry import build_method
from rim.settings.load import load as load_settings
from tests.data.chats import CHATS
from tests.data.test_form import ENDS, WRITTEN
from tests.swift import fit
from tests.training.test_contract import SHORT


def write_base(folder: Path, shape: str, *spare: str) -> None:
    """A tiny pretrained model; `spare` are special tokens besides those that its chat template writes."""
    tokenizer = CHATS[shape]()
    tokenizer.add_tokens(list(spare), special_tokens=True)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    settings = AutoConfig.for_model("llama", vocab_size=len(tokenizer), num_key_value_heads=1, **size)
    AutoModelForCausalLM.from_config(settings).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def trained(folder: Path, *more: str) -> None:
    """Fit a run on the base model in the folder, in chat form."""
    base = ("backbone.source=pretrained", f"backbone.name={folder / 'base'}", "backbone.training=lora")
    own = ("evaluation.max_new_tokens=null", f"run.folder={folder}", f"data.cache={folder}/cache")
    assert fit(load_settings([], [*SHORT, *own, *base, "memory.blocks=3", "data.template=chat", *more])) == 0


@pytest.mark.parametrize("shape", CHATS)
def test_a_chat_is_trained_asked_and_exported(shape: str, tmp_path: Path) -> None:
    write_base(tmp_path / "base", shape)
    trained(tmp_path)
    run, tokenizer = load(tmp_path / "run"), AutoTokenizer.from_pretrained(tmp_path / "run" / "tokenizer")
    assert tokenizer.eos_token == ENDS[shape]
    question, *blocks = run.prompt("Who?").trunk.nodes
    assert tokenizer.decode(question.ids) == WRITTEN[shape].replace("{}", "Who?")
    assert [tokenizer.decode(block.ids) for block in blocks] == ["<|b|><|m|><|m|><|/b|>"] * 3
    outcome = export(tmp_path / "run", tmp_path / "model", Wanted())
    assert (outcome.equal, outcome.questions, outcome.prompts) == (8, 8, 8 + len(ODD))


def test_the_template_of_an_export_begins_no_run(tmp_path: Path) -> None:
    """Its blocks would be a part of every question, and stand before the run's own."""
    config = load_settings([], [*SHORT, "memory.blocks=2", "data.template=chat", "backbone.source=pretrained"])
    tokenizer = CHATS["smollm2"]()
    add_memory_tokens(tokenizer)
    method = build_method(config, tokenizer)
    tokenizer.chat_template = chat_template(prompt_text(method, config, tokenizer, 2), tokenizer)
    tokenizer.save_pretrained(tmp_path)
    config = replace(config, backbone=replace(config.backbone, name=str(tmp_path)))
    with pytest.raises(
        UserError, match=r"writes memory blocks, as that of an export does.*Put the chat_template.jinja"
    ):
        run_tokenizer(config, lambda: ())
    plain = replace(config, data=replace(config.data, template="plain"))
    assert run_tokenizer(plain, lambda: ()).eos_token == tokenizer.eos_token


def test_memory_in_spare_tokens_leaves_every_matrix_its_shape(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_base(tmp_path / "base", "smollm2", "<repo>", "<reserved 0>", "<reserved 1>")
    trained(tmp_path, "memory.token_source=reserved")
    said = "memory        in the places of <reserved 0> (<|b|>), <reserved 1> (<|m|>), <repo> (<|/b|>)\n"
    assert said in capsys.readouterr().out
    outcome = export(tmp_path / "run", tmp_path / "model", Wanted())
    assert (outcome.equal, outcome.prompts) == (8, 8 + len(ODD))
    sizes = [AutoConfig.from_pretrained(tmp_path / name).vocab_size for name in ("base", "model")]
    lengths = [len(AutoTokenizer.from_pretrained(tmp_path / name)) for name in ("base", "model")]
    assert len({*sizes, *lengths}) == 1
