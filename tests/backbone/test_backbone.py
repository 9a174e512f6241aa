"""What a backbone adds to a module of torch."""

import pytest
from torch import nn

from tests.models import tiny_backbone


def test_evaluation_mode_reaches_every_module() -> None:
    backbone = tiny_backbone("llama")
    for part in (backbone, backbone.model):
        part.train()
        assert not any(module.training for module in backbone.eval().modules())
    backbone.extra["added"] = nn.Sequential(nn.Dropout())
    assert not any(module.training for module in backbone.eval().modules())


def test_a_backbone_in_evaluation_mode_is_not_walked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, walks = tiny_backbone("llama").eval(), []
    monkeypatch.setattr(nn.Module, "train", lambda module, mode=True: walks.append(mode) or module)
    assert backbone.eval() is backbone and not walks
    backbone.model.training = True
    assert backbone.eval() is backbone and walks == [False]
