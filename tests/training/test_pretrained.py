"""Pretrained models from a folder: what trains under adapters, what stays bit by bit, and what a run folder holds."""

import copy
import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from rim.backbone.backbone import Backbone
from rim.backbone.load import load_backbone, load_tokenizer
from rim.backbone.tokenizer import build_tokenizer
from rim.data.prepare import training_texts
from rim.runs.checkpoint import load_weights
from rim.runs.folder import RunFolder
from rim.settings import Config
from rim.training.module import RimModule
from rim.training.run import fit
from tests.models import model_config
from tests.runs import tiny

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

WIDTH = 32
SHAPES = {
    "gpt2": ("gpt2", {}),
    "llama-tied": ("llama", {}),
    "llama-untied": ("llama", {"tie_word_embeddings": False}),
    "llama-padded": ("llama", {"vocab_size": 320, "tie_word_embeddings": False}),
}


def pretrained(folder: Path, shape: str) -> Path:
    """A random model of two layers and its tokenizer, as they would come from the hub."""
    family, changes = SHAPES[shape]
    tokenizer = build_tokenizer(training_texts(tiny(folder).data), 280)
    layers = {"n_layer": 2} if family == "gpt2" else {"num_hidden_layers": 2}
    settings = model_config(family, **{"vocab_size": len(tokenizer), **layers, **changes})
    torch.manual_seed(3)
    AutoModelForCausalLM.from_config(copy.deepcopy(settings)).save_pretrained(folder / shape)
    tokenizer.save_pretrained(folder / shape)
    return folder / shape


def settings(folder: Path, shape: str, *more: str) -> Config:
    """A run of three and two updates; adapters without dropout of their own, and a stage that sets one."""
    short = ("stages.0.duration=3 steps", "stages.1.duration=2 steps", "stages.0.dropout=0.2", "stages.1.dropout=0.3")
    model = ("backbone.source=pretrained", f"backbone.name={folder / shape}", "evaluation.controls=[]")
    lora = ("backbone.training=lora", "backbone.lora.rank=4", "backbone.lora.dropout=0")
    return tiny(folder, f"run.name=run-{shape}", *short, *model, *lora, *more)


def fresh(config: Config) -> Backbone:
    return load_backbone(config.backbone, load_tokenizer(config.backbone, tuple), config.run.seed)


def embedding(backbone: Backbone) -> Tensor:
    """The input embedding as the model applies it, memory rows included."""
    table = backbone.model.get_input_embeddings()
    return table(torch.arange(table.weight.shape[0])).detach()


def logits(backbone: Backbone) -> Tensor:
    ids = torch.tensor([[5, 9, *backbone.special.memory_tokens, 40, backbone.special.end]])
    with torch.no_grad():
        return backbone.eval().model(input_ids=ids).logits


@pytest.fixture(scope="module", params=SHAPES)
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Config, Backbone]:
    """Settings of a run with adapters that has ended, and its final pick."""
    folder = tmp_path_factory.mktemp("pretrained")
    pretrained(folder, request.param)
    config = settings(folder, request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RimModule, "on_train_epoch_start", check_dropout, raising=False)
        assert fit(config) == 0
    return config, RunFolder(folder / f"run-{request.param}").load_backbone()[0]


def check_dropout(module: RimModule) -> None:
    """The stage's rate has reached every adapter and nothing else, and the model is in training mode."""
    rates = {"lora": set(), "rest": set()}
    for name, layer in module.backbone.named_modules():
        assert layer.training, name
        if isinstance(layer, torch.nn.Dropout):
            rates["lora" if "lora_dropout" in name else "rest"].add(layer.p)
    assert rates["lora"] == {module.stage.stage.dropout} and rates["rest"] <= {0.0}


def test_three_rows_and_the_adapters_train(finished: tuple[Config, Backbone]) -> None:
    _, backbone = finished
    trained = {name: p for name, p in backbone.named_parameters() if p.requires_grad}
    rows = {name: p for name, p in trained.items() if "lora" not in name}
    assert sum(p.numel() for p in rows.values()) == 3 * WIDTH
    assert all(p.numel() == 4 * max(p.shape) for p in trained.values() if p is not next(iter(rows.values())))


def test_base_weights_and_old_rows_stay(finished: tuple[Config, Backbone]) -> None:
    config, backbone = finished
    base = AutoModelForCausalLM.from_pretrained(config.backbone.name).state_dict()
    kept: set[str] = set()
    for name, value in backbone.model.get_base_model().state_dict().items():
        plain = name.replace(".base_layer", "").replace(".base.", ".")
        if plain in base and "lora" not in name:
            assert torch.equal(value[:280], base[plain][:280]), name  # all of it, but for the memory rows
            kept.add(plain)
    assert kept == base.keys()
    first, old, new = fresh(config), list(range(280)), list(backbone.special.memory_tokens)
    assert torch.equal(embedding(backbone)[old], embedding(first)[old])
    table = base["transformer.wte.weight" if "gpt2" in config.run.name else "model.embed_tokens.weight"]
    assert torch.equal(embedding(first)[old], table[old])
    assert (embedding(backbone)[new] != embedding(first)[new]).any(1).all(), "every memory row has been trained"


def test_final_pick_loads_into_a_fresh_model(finished: tuple[Config, Backbone]) -> None:
    """The head's memory rows of an untied model are not stored; they have to come out the same."""
    config, backbone = finished
    first = fresh(config)
    difference = (logits(first) - logits(backbone)).abs().max()
    assert difference > 1e-4, "training has changed nothing"
    path = Path(config.run.folder) / config.run.name / "weights" / "refinement-best.safetensors"
    load_weights(first, path)
    assert torch.equal(logits(first), logits(backbone))


def test_memory_tokens_are_added_once(finished: tuple[Config, Backbone], tmp_path: Path) -> None:
    config, backbone = finished
    padded = "padded" in config.backbone.name
    assert len(backbone.tokenizer) == 283
    backbone.tokenizer.save_pretrained(tmp_path / "again")
    AutoModelForCausalLM.from_pretrained(config.backbone.name).save_pretrained(tmp_path / "again")
    again = copy.deepcopy(config)
    again.backbone.name = str(tmp_path / "again")
    for made in (backbone, fresh(again)):
        assert len(made.tokenizer) == 283 and made.special == backbone.special
        assert embedding(made).shape == made.model.get_output_embeddings().weight.shape == (320, WIDTH)
        assert logits(made).shape[-1] == (320 if padded else 283), "rows that were added to fill up have no logits"


def test_full_fine_tuning_needs_its_run_folder_alone(tmp_path: Path) -> None:
    """Dropout acts although a pretrained model comes in evaluation mode; it is then loaded without its source."""
    source = pretrained(tmp_path, "gpt2")
    config = settings(tmp_path, "gpt2", "backbone.training=full", "memory.readout_sees_question=false")
    modes = []
    with pytest.MonkeyPatch.context() as patch:
        watch = lambda module: modes.append([x.training and x.p for x in dropouts(module)])  # noqa: E731
        patch.setattr(RimModule, "on_train_epoch_start", watch, raising=False)
        assert fit(config) == 0
    assert modes == [[0.2] * len(modes[0]), [0.3] * len(modes[0])] and modes[0]
    base = AutoModelForCausalLM.from_pretrained(source).state_dict()
    shutil.rmtree(source)
    backbone, about = RunFolder(tmp_path / "run-gpt2").load_backbone()
    assert about["update"] in (3, 5)
    state = backbone.model.state_dict()
    assert all(not torch.equal(state[name][: len(value)], value) for name, value in base.items() if value.ndim == 2)
    assert logits(backbone).shape == (1, 7, 283)


def dropouts(module: RimModule) -> list[torch.nn.Dropout]:
    return [layer for layer in module.backbone.modules() if isinstance(layer, torch.nn.Dropout)]
