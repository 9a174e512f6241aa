"""An export is a backbone: training goes on from it, with the memory tokens that it has."""

from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from rim.backbone.load import load_backbone, load_tokenizer
from rim.backbone.tokenizer import Slots
from rim.deployment.check import rendered
from rim.deployment.export import Wanted, export
from rim.deployment.folder import load_model
from rim.deployment.model import load as load_run
from rim.settings import Config
from rim.settings.load import load
from tests.deployment.conftest import Trained
from tests.swift import fit
from tests.training.test_contract import SHORT


def settings(folder: Path, *more: str) -> Config:
    places = (f"run.folder={folder.parent}", f"data.cache={folder.parent}/cache", "evaluation.max_new_tokens=null")
    model = ("backbone.source=pretrained", f"backbone.name={folder}", "backbone.lora.rank=4")
    return load([], [*SHORT, *places, *model, *more])


@pytest.mark.parametrize(
    ("training", "variant"),
    [("full", ()), ("lora", ("backbone.scratch.shape=qwen", "backbone.scratch.tied=false"))],
)
def test_trained_rows_of_memory_tokens_are_kept(
    training: str, variant: tuple[str, ...], trained: Trained, tmp_path: Path
) -> None:
    """In both matrices; memory tokens that the export has not got are new."""
    folder = tmp_path / "model"
    export(trained("memory_blocks", *variant), folder, Wanted())
    plain, tokenizer = load_model(folder)
    config = settings(folder, f"backbone.training={training}", "memory.tokens=per_slot")
    slots = Slots.of(config)
    again = load_tokenizer(config.backbone, lambda: (), slots)
    assert len(again) == len(tokenizer) + slots.per_block
    backbone = load_backbone(config.backbone, again, seed=7)
    for part in ("get_input_embeddings", "get_output_embeddings"):
        before, after = getattr(plain, part)().weight, getattr(backbone.model, part)()
        rows = after.weight if hasattr(after, "weight") else after.base.weight
        torch.testing.assert_close(rows[: len(before)], before, rtol=0, atol=0)
    new = backbone.model.get_input_embeddings()(torch.tensor([len(tokenizer)]))
    assert new.abs().sum() > 0


@pytest.mark.parametrize("training", ["lora", "full"])
def test_training_goes_on_and_is_exported_again(training: str, trained: Trained, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    export(trained(), folder, Wanted())
    assert fit(settings(folder, f"backbone.training={training}", "memory.blocks=2")) == 0
    outcome = export(tmp_path / "run", tmp_path / "again", Wanted())
    assert outcome.questions == 8 == outcome.equal
    first, second = (AutoTokenizer.from_pretrained(tmp_path / name) for name in ("model", "again"))
    assert first.get_vocab() == second.get_vocab()
    block = [id for id in rendered(first, "Who?") if id in load_run(tmp_path / "run").backbone.special.memory_tokens]
    again = [id for id in rendered(second, "Who?") if id in block]
    assert len(block) == 3 * 4 and again == block[: 2 * 4], "two blocks of four tokens, and no template within another"
