"""The dropout that a stage announces is the one that acts: in losses, for whole models, frozen bases and adapters."""

import json
from pathlib import Path

import pytest

from rim.backbone.backbone import BackboneError
from rim.backbone.tokenizer import build_tokenizer
from rim.data.prepare import training_texts
from rim.settings.load import SettingsError
from rim.training.run import fit
from tests.families import family_model
from tests.runs import curve, tiny

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

SHORT = ("stages.0.duration=2 steps", "stages.1.duration=1 steps", "evaluation.controls=[]", "data.test_rows=2")


def pretrained(folder: Path, kind: str, **changes: object) -> list[str]:
    """A random model of a family as a folder, and the settings that use it; it keeps the family's own dropout."""
    tokenizer = build_tokenizer(training_texts(tiny(folder).data), 280)
    family_model(kind, vocab_size=len(tokenizer), **changes).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return ["backbone.source=pretrained", f"backbone.name={folder / 'model'}", *SHORT]


def losses(folder: Path, name: str, *settings: str) -> list[float]:
    """Of every update of a run."""
    assert fit(tiny(folder, f"run.name={name}", *settings)) == 0
    return [record["loss"] for record in curve(folder / name) if "loss" in record]


@pytest.mark.parametrize("kind", ["gpt2", "opt"])
def test_a_stage_of_full_training(tmp_path: Path, kind: str) -> None:
    """At 0 the loss does not depend on how an update is split, since noise is drawn by pass."""
    model = [*pretrained(tmp_path, kind), "backbone.training=full"]
    split, whole = (f"training.tokens_per_pass={tokens}" for tokens in (192, 10_000))
    still = losses(tmp_path, "still", *model, split, "stages.*.dropout=0")
    assert losses(tmp_path, "whole", *model, whole, "stages.*.dropout=0") == pytest.approx(still, abs=2e-5)
    noisy = losses(tmp_path, "noisy", *model, split, "stages.*.dropout=0.5")
    own = losses(tmp_path, "own", *model, split, "stages.*.dropout=null")
    first = [round(each[0], 3) for each in (still, noisy, own)]
    assert len(set(first)) == 3, f"0, 0.5 and the family's own 0.1 differ from the first update on: {first}"


def test_a_frozen_base_has_no_dropout_unless_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As adapters begin they add nothing, so the first loss tells the base's rate alone."""
    lora = ["backbone.training=lora", "backbone.lora.rank=4", "stages.*.dropout=0.5"]
    model = [*pretrained(tmp_path, "gpt2"), *lora]
    names = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    lines = []
    found = {}
    for name, setting in [("default", ()), ("own", ("null",)), ("half", ("0.5",))]:
        rate = [f"backbone.lora.base_dropout={value}" for value in setting]
        found[name] = losses(tmp_path, name, *model, *rate, "training.tokens_per_pass=10000")[0]
        lines += [line for line in capsys.readouterr().out.splitlines() if line.startswith(("frozen", "adapters"))]
    assert lines[::2] == [f"adapters      rank 4 on {', '.join(f'{each} (2)' for each in names)}"] * 3
    assert lines[1::2] == [f"frozen base   fp32, dropout {rate}" for rate in ("0", "of its own rates", "0.5")]
    assert len({round(loss, 3) for loss in found.values()}) == 3
    split = losses(tmp_path, "split", *model, "training.tokens_per_pass=1")[0]
    assert split == pytest.approx(found["default"], abs=2e-5), "0 by default: other passes, the same loss"
    saved = json.loads((tmp_path / "default/adapters.json").read_text())
    assert saved == {"modules": [f"transformer.h.{layer}.{name}" for layer in (0, 1) for name in names], "experts": []}


def test_experts_refuse_the_rate_of_a_stage_before_training(tmp_path: Path) -> None:
    lora = ("backbone.training=lora", "backbone.lora.rank=2", "backbone.lora.dropout=0", "stages.*.dropout=0")
    model = [*pretrained(tmp_path, "qwen3_moe"), *lora]
    with pytest.raises(BackboneError, match=r"^stages\[1\].dropout = 0.1: adapters of routed experts \(mlp"):
        fit(tiny(tmp_path, *model, "stages.1.dropout=0.1"))
    assert fit(tiny(tmp_path, "run.name=without", *model)) == 0


def test_a_rate_that_cannot_act_is_refused_before_training(tmp_path: Path) -> None:
    model = [*pretrained(tmp_path, "phimoe", input_jitter_noise=0.1), "backbone.training=full"]
    with pytest.raises(BackboneError, match=r"^stages\[0\].dropout = 0 would not act: models of type 'phimoe' drop or"):
        fit(tiny(tmp_path, *model, "stages.*.dropout=0"))


@pytest.mark.parametrize(
    ("override", "rule"),
    [
        ("backbone.lora.base_dropout=1", "backbone.lora.base_dropout = 1.0: a dropout is at least 0 and below 1"),
        ("backbone.scratch.dropout=0.1", "acts in a model whose every weight trains; set backbone.lora.base_dropout"),
    ],
)
def test_rates_that_settings_refuse(tmp_path: Path, override: str, rule: str) -> None:
    with pytest.raises(SettingsError, match=rule):
        tiny(tmp_path, "backbone.training=lora", override)
