"""Compiled layers give the losses and gradients of plain ones, in training and nowhere else.

Without a code generator, which would take longer than all other tests, and whose kernels are torch's to test.
"""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

from rim.backbone.backbone import Backbone, BackboneError
from rim.backbone.checkpointing import checkpoint_layers
from rim.backbone.compiled import CompilerError, require_compiler
from rim.backbone.decode import greedy
from rim.backbone.dropout import set_dropout
from rim.backbone.fast import decoder
from rim.base.tree import pad
from rim.methods.registry import build_method
from tests.models import at, config, example, tiny_backbone, with_adapters

pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated", "ignore::DeprecationWarning", "ignore::UserWarning:torch"
)

SHAPES = ((2, 5), (3, 9), (1, 12), (4, 6))
"""Examples, and tokens of their questions."""


def learned(backbone: Backbone, lines: int, question: int) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss and gradients of a batch, under dropout of the same noise."""
    method = build_method(config(), backbone.tokenizer)
    trees = [method.layout(example(question, seed=seed), at("refinement")) for seed in range(lines)]
    backbone.train()
    backbone.zero_grad()
    torch.manual_seed(3)
    loss = method.losses(backbone, pad(trees, backbone.special.pad)).total
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in backbone.named_parameters() if p.grad is not None}


@pytest.mark.parametrize(("family", "training"), [("gpt2", "full"), ("llama", "lora")])
def test_losses_and_gradients(family: str, training: str) -> None:
    layers = {"gpt2": "n_layer", "llama": "num_hidden_layers"}[family]
    backbone = tiny_backbone(family, **{layers: 1})  # each layer takes its time to be compiled
    if training == "lora":
        backbone = with_adapters(backbone, "q_proj", "down_proj")  # each takes its time, too
        checkpoint_layers(backbone)
    set_dropout(backbone, 0.1)
    backbone.split_head()
    expected = [learned(backbone, *shape) for shape in SHAPES]
    prompts = [build_method(config(), backbone.tokenizer).prompt(example())]
    answers = greedy(backbone, prompts, 4)
    counted = CompileCounterWithBackend("aot_eager")
    backbone.compile_layers(backend=counted)
    for shape, (loss, gradients) in zip(SHAPES, expected, strict=True):
        again, found = learned(backbone, *shape)
        torch.testing.assert_close(again, loss, rtol=1e-5, atol=1e-5)
        assert found.keys() == gradients.keys()
        largest = max(gradient.abs().max() for gradient in gradients.values())
        assert max((found[name] - gradients[name]).abs().max() for name in found) < 1e-5 * largest
    assert counted.frame_count == 3, "one pass for the first shape, one for several lines, one for a single line"
    assert greedy(backbone, prompts, 4) == answers
    method = build_method(config(), backbone.tokenizer)
    method.losses(backbone.eval(), pad([method.layout(example(30), at("refinement"))], 0))
    assert counted.frame_count == 3, "evaluation mode, and with it the count of operations, has plain layers"


def test_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_compiler("cpu")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(CompilerError) as error:
        require_compiler("cpu")
    assert str(error.value) == (
        "training.compile = true: torch.compile needs a compiler on this device, and there is no g++ or clang++ on the "
        "path; install one, name one in the variable CXX, or set training.compile=false"
    )
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(CompilerError) as error:
        decoder("compiled")
    assert str(error.value) == (
        "decode = 'compiled': torch.compile needs a compiler on this device, and there is no g++ or clang++ on the "
        "path; install one, name one in the variable CXX, or use plain or static"
    )
    monkeypatch.setenv("CC", "icx")
    with pytest.raises(CompilerError, match="there is no icx on the path"):
        require_compiler("cuda")


def test_layers_that_cannot_be_told_apart() -> None:
    with pytest.raises(BackboneError) as error:
        tiny_backbone("gpt2").compile_layers()
    assert str(error.value) == (
        "training.compile = true: the layers of 'gpt2' cannot be told from what stands above them; set "
        "training.compile=false"
    )
