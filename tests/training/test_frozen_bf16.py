"""Frozen weights in bf16 under adapters: what trains stays fp32, losses stay near, runs load, score and resume."""

import copy
from pathlib import Path

import pytest
import torch

from rim import evaluate
from rim.backbone.adapters import add_adapters
from rim.backbone.backbone import Backbone
from rim.backbone.decode import greedy
from rim.backbone.fast import decoder
from rim.backbone.load import load_backbone, load_tokenizer
from rim.base.tree import pad
from rim.methods.registry import build_method
from rim.runs.folder import RunFolder
from rim.settings import Backbone as BackboneConfig
from rim.settings import Lora, Scratch
from rim.training.run import fit
from tests.families import family_backbone
from tests.models import TEXTS, at, config, example
from tests.runs import curve, overrides, weights
from tests.training.children import Strike, fit_in_child
from tests.training.test_pretrained import SHAPES, pretrained, settings

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

HALF = ("backbone.dtype=bf16", "training.precision=bf16")


def types(backbone: Backbone) -> dict[bool, set[torch.dtype]]:
    """Types of the weights that train, and of those that do not."""
    found: dict[bool, set[torch.dtype]] = {True: set(), False: set()}
    for weight in backbone.parameters():
        found[weight.requires_grad].add(weight.dtype)
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_a_run_stays_near_one_with_fp32_weights(tmp_path: Path, shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    pretrained(tmp_path, shape)
    losses = []
    for dtype in ("bf16", "fp32"):
        run = settings(tmp_path, shape, *HALF, f"backbone.dtype={dtype}", f"run.name={dtype}")
        assert fit(run) == 0
        assert f"frozen base   {dtype}, dropout 0" in capsys.readouterr().out
        losses.append([row["loss"] for row in curve(tmp_path / dtype) if "loss" in row])
    assert losses[0] != losses[1] and losses[0] == pytest.approx(losses[1], rel=0.02)
    folder = RunFolder(tmp_path / "bf16")
    backbone, _ = folder.load_backbone()
    assert types(backbone) == {True: {torch.float32}, False: {torch.bfloat16}}
    assert {value.dtype for value in weights(folder.path, "refinement-best").values()} == {torch.float32}
    predictions = folder.path / "results" / "tracking-test.jsonl"
    before = predictions.read_bytes()
    predictions.unlink()
    assert evaluate.main(["--run", str(folder.path)]) == 0
    assert predictions.read_bytes() == before


def test_an_interrupted_run_goes_on_where_it_was(tmp_path: Path) -> None:
    source = pretrained(tmp_path, "gpt2")
    model = ("backbone.source=pretrained", f"backbone.name={source}", "backbone.training=lora", "backbone.lora.rank=4")
    for name, patch in (("whole", None), ("killed", Strike("on_train_batch_end", 15))):
        ended = fit_in_child(tmp_path, overrides(tmp_path, f"run.name={name}", *HALF, *model), patch)
        assert ended.status == (-9 if patch else 0), ended.output
    assert fit_in_child(tmp_path, overrides(tmp_path, "run.name=killed", *HALF, *model)).status == 0
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")


@pytest.mark.parametrize("shape", ["gpt2", "llama"])
def test_random_weights_are_those_of_fp32_rounded(shape: str) -> None:
    """And no buffer is, such as the angles of rotary positions."""
    made = BackboneConfig(source="scratch", scratch=Scratch(shape, layers=2, width=32, heads=2))  # type: ignore[arg-type]
    half = copy.deepcopy(made)
    half.dtype = "bf16"
    whole, rounded = (load_backbone(each, load_tokenizer(each, lambda: TEXTS), 0) for each in (made, half))
    assert types(rounded) == {True: {torch.float32}, False: {torch.bfloat16}}
    others, tokens = dict(rounded.named_buffers()), whole.special.memory_tokens
    for name, buffer in whole.named_buffers():
        assert others[name].dtype == buffer.dtype and torch.equal(others[name], buffer)
    rows = whole.embed(torch.arange(min(tokens)))
    assert torch.equal(rounded.embed(torch.arange(min(tokens))), rows.bfloat16())


METHODS = [(name, {}) for name in ("memory_blocks", "codi", "coconut", "looped")]


@pytest.mark.parametrize(("method", "changes"), [*METHODS, ("memory_blocks", {"insertion_layer": 1})])
def test_every_way_of_reading_takes_weights_of_two_types(method: str, changes: dict[str, int]) -> None:
    """Trained under autocast, scored without it."""
    made = config(method, **changes)
    plain = family_backbone("llama", initializer_range=0.3)
    with torch.no_grad():
        for weight in plain.parameters():
            weight.data = weight.data.bfloat16()
    backbone = Backbone(
        add_adapters(plain.model, Lora(rank=4, dropout=0.0), plain.special), plain.tokenizer, plain.special
    )
    built = build_method(made, backbone.tokenizer)
    built.add_modules(backbone)
    assert types(backbone)[True] == {torch.float32}
    trees = pad([built.layout(example(), at(made.stages[-1].objective))], backbone.special.pad)
    with torch.autocast("cpu", torch.bfloat16):
        built.losses(backbone, trees).total.backward()
    assert all(weight.grad is not None for weight in backbone.parameters() if weight.requires_grad)
    prompts, read = [built.prompt(example(length, seed=length)) for length in (9, 5)], built.reader(backbone)
    assert greedy(backbone, prompts, 6, read=read) and decoder("static")(backbone, prompts, 6, read=read)


def test_adapters_of_experts_too() -> None:
    plain = family_backbone("qwen3_moe")
    for weight in plain.parameters():
        weight.data = weight.data.bfloat16()
    model = add_adapters(plain.model, Lora(rank=4, dropout=0.0), plain.special)
    backbone = Backbone(model, plain.tokenizer, plain.special)
    assert types(backbone) == {True: {torch.float32}, False: {torch.bfloat16}}
    with torch.autocast("cpu", torch.bfloat16):
        model(input_ids=torch.arange(10, 34).view(2, 12)).logits.float().square().mean().backward()
    assert all(weight.grad is not None for weight in backbone.parameters() if weight.requires_grad)
