"""A backbone without values, for a process that gets them from another: in all else it is the one with values."""

from pathlib import Path

import pytest
import torch

from rim.backbone.backbone import Backbone
from rim.backbone.load import load_backbone, load_tokenizer
from rim.settings import Backbone as Settings
from rim.settings import Lora, Scratch
from tests.backbone.test_pretrained import folder
from tests.models import TEXTS

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")  # peft's


def shapes(backbone: Backbone) -> dict[str, tuple[object, ...]]:
    """What each weight and buffer is, those that are tied by each of their names."""
    parts = [*backbone.named_parameters(remove_duplicate=False), *backbone.named_buffers()]
    first = {id(part): name for name, part in reversed(parts)}
    return {name: (first[id(part)], part.shape, part.dtype, part.requires_grad) for name, part in parts}


@pytest.mark.parametrize("training", ["full", "lora"])
@pytest.mark.parametrize("source", ["gpt2", "untied llama", "folder"])
def test_it_has_all_but_values(source: str, training: str, tmp_path: Path) -> None:
    shape = Scratch(
        shape="llama" if "llama" in source else "gpt2", layers=2, width=16, heads=2, tied="un" not in source
    )
    settings = Settings(source="scratch", scratch=shape)
    if source == "folder":
        settings = folder(tmp_path)
        settings.source = "pretrained"
    settings.training, settings.lora = training, Lora(rank=2)  # type: ignore[assignment]
    tokenizer = load_tokenizer(settings, lambda: TEXTS)
    full, empty = (load_backbone(settings, tokenizer, 1, empty=empty) for empty in (False, True))
    assert shapes(empty) == shapes(full)
    assert {part.device.type for part in (*empty.parameters(), *empty.buffers())} == {"meta"}
    assert full.device == torch.device("cpu")
