"""Weights on disk: strict loading with words that say what is wrong, and a run folder that is enough by itself."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from safetensors import safe_open

from rim.backbone.backbone import Backbone
from rim.backbone.tokenizer import add_memory_tokens, build_tokenizer
from rim.runs.checkpoint import CheckpointError, load_weights, read_about, save_weights
from rim.runs.folder import RunError, RunFolder
from tests.models import tiny_backbone


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "weights" / "grounding-best.safetensors"
    save_weights(tiny_backbone(), path, {"name": "grounding-best", "update": 7})
    return path


def rewrite(path: Path, change: Any) -> None:
    """Change the tensors, and keep what stands beside them."""
    with safe_open(path, framework="pt") as file:
        facts = file.metadata()
    state = safetensors.torch.load_file(path)
    change(state)
    safetensors.torch.save_file(state, path, facts)


def refusal(backbone: Backbone, path: Path) -> str:
    with pytest.raises(CheckpointError) as error:
        load_weights(backbone, path)
    return str(error.value)


@pytest.mark.parametrize(("family", "changes"), [("gpt2", {}), ("llama", {"tie_word_embeddings": False})])
def test_weights_come_back_bit_by_bit(tmp_path: Path, family: str, changes: dict) -> None:
    first, path = tiny_backbone(family, **changes), tmp_path / "w.safetensors"
    save_weights(first, path, {"update": 7, "stage": "grounding"})
    second = tiny_backbone(family, **changes)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.add_(1.0)
    about = load_weights(second, path)
    assert (about["update"], about["stage"], about["family"]) == (7, "grounding", family)
    state = first.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in second.state_dict().items())
    assert not second.model.training, "loading leaves the mode as it was"


def test_another_vocabulary(saved: Path) -> None:
    other = tiny_backbone()
    other.tokenizer = build_tokenizer(["Quite other words make quite other tokens."] * 3, 280)
    add_memory_tokens(other.tokenizer)
    words = refusal(other, saved)
    assert words.startswith(f"the weights of {saved} belong to a vocabulary of ")
    assert words.endswith(": use the tokenizer in the run folder of the weights")
    assert len(set(words.split("(hash ")[1:])) == 2


def test_missing_unknown_and_reshaped_tensors(saved: Path) -> None:
    def change(state: dict) -> None:
        state["model.transformer.extra"] = torch.zeros(2)
        state["model.transformer.ln_f.bias"] = torch.zeros(5)
        del state["model.transformer.h.0.ln_1.weight"], state["model.transformer.h.1.ln_1.weight"]

    rewrite(saved, change)
    assert refusal(tiny_backbone(), saved) == (
        f"the weights of {saved} do not fit this model: 2 missing ['model.transformer.h.0.ln_1.weight', "
        "'model.transformer.h.1.ln_1.weight'], 1 unknown ['model.transformer.extra'], 1 of another shape "
        "['model.transformer.ln_f.bias']. Load them with the backbone and adapter settings of their own run (its "
        "config.yaml)"
    )


def test_nothing_is_loaded_where_something_does_not_fit(saved: Path) -> None:
    rewrite(saved, lambda state: (state.popitem(), [value.add_(1) for value in state.values()]))
    backbone = tiny_backbone()
    refusal(backbone, saved)
    assert all(torch.equal(a, b) for a, b in zip(backbone.parameters(), tiny_backbone().parameters(), strict=True))


@pytest.mark.parametrize("value", [1.05, float("nan")])
def test_changed_fingerprint(saved: Path, value: float) -> None:
    rewrite(saved, lambda state: state["model.transformer.ln_f.weight"].mul_(value))
    words = refusal(tiny_backbone(), saved)
    assert words.startswith(f"the weights of {saved} no longer give the logits that they gave when saved: they differ ")
    assert "The frozen base weights or a library have changed" in words and "backbone.revision" in words


def test_unknown_name_lists_the_known(saved: Path) -> None:
    save_weights(tiny_backbone(), saved.with_name("refinement-best.safetensors"), {})
    assert refusal(tiny_backbone(), saved.with_name("refinment-best.safetensors")) == (
        f"there are no weights 'refinment-best' in {saved.parent}; there are: grounding-best, refinement-best"
    )


def test_damaged_and_foreign_files(saved: Path) -> None:
    safetensors.torch.save_file({"x": torch.zeros(1)}, saved.with_name("foreign.safetensors"))
    saved.write_bytes(saved.read_bytes()[:-100])
    for path in (saved, saved.with_name("foreign.safetensors")):
        with pytest.raises(CheckpointError, match="is damaged or was not written by rim"):
            read_about(path)


# ---------------------------------------------------------------------- run folders


def test_run_folder_is_enough(straight: Path) -> None:
    """The final pick and any candidate, with the facts beside them."""
    backbone, about = RunFolder(straight).load_backbone()
    selection = json.loads((straight / "selection.json").read_text())
    assert about["name"] == selection["final"] == "refinement-best"
    best = selection["best"]["refinement"]
    assert (about["update"], about["validation_correct"]) == (best["update"], best["correct"])
    other, about = RunFolder(straight).load_backbone("grounding-last")
    assert about["update"] == 12
    assert not torch.equal(next(backbone.parameters()), next(other.parameters()))
    assert not any(module.training for module in backbone.modules()), "a loaded model has no dropout"
    with pytest.raises(CheckpointError, match="there are: grounding-3, grounding-6, grounding-9, grounding-best, "):
        RunFolder(straight).load_backbone("last")


def test_kept_checkpoints_come_in_the_order_of_training_the_best_before_others_of_its_update(tmp_path: Path) -> None:
    backbone, scored = tiny_backbone(), {"validation_count": 8}
    for name, update in {"a-best": 4, "a-last": 8, "b-best": 12, "b-last": 12, "a-4": 4, "a-6": 6, "b-10": 10}.items():
        facts = {"stage": name[0], "update": update, **({} if name[2:].isdecimal() else scored)}
        save_weights(backbone, tmp_path / "weights" / f"{name}.safetensors", facts)
    assert RunFolder(tmp_path).kept() == ["a-best", "a-6", "a-last", "b-10", "b-best"]


def test_folder_without_a_run(straight: Path) -> None:
    missing = straight.parent / "crooked"
    with pytest.raises(RunError) as error:
        RunFolder(missing).config()
    assert str(error.value).startswith(f"{missing} is not a run folder: it has no config.yaml. Runs beside it: ")
    assert str(straight) in str(error.value)


def test_run_without_a_score(straight: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text((straight / "config.yaml").read_text())
    with pytest.raises(RunError, match="has no scored weights yet: let the run reach its first validation"):
        RunFolder(tmp_path).load_backbone()
