"""Weights of a folder: all of them load, under whatever names they are known to have, or the run is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.activations import GELUTanh, NewGELUActivation

from rim.backbone.attention import AttentionError
from rim.backbone.backbone import BackboneError
from rim.backbone.load import load_backbone, load_tokenizer
from rim.backbone.pretrained import load_pretrained
from rim.backbone.selfcheck import self_check
from rim.backbone.tokenizer import TokenizerError, build_tokenizer
from rim.settings import Backbone as Settings
from tests.backbone.test_selfcheck import trees
from tests.families import family_model
from tests.models import TEXTS

State = dict[str, Tensor]


def folder(path: Path, kind: str = "llama", change: Callable[[State], State] = dict, **config: object) -> Settings:
    """A model and its tokenizer as save_pretrained writes them, with other weights or settings."""
    tokenizer = build_tokenizer(TEXTS, 280)
    family_model(kind, vocab_size=len(tokenizer)).save_pretrained(path)
    tokenizer.save_pretrained(path)
    weights, settings = path / "model.safetensors", path / "config.json"
    save_file(
        {name: value.contiguous() for name, value in change(load_file(weights)).items()}, weights, {"format": "pt"}
    )
    settings.write_text(json.dumps(json.loads(settings.read_text()) | config))
    return Settings(name=str(path), training="full")


def prefixed(prefix: str) -> Callable[[State], State]:
    return lambda state: {prefix + name: value for name, value in state.items()}


def inside(state: State) -> State:
    """As torch.compile leaves names where a part of a model was compiled."""
    return {name.replace("model.", "model._orig_mod.", 1): value for name, value in state.items()}


@pytest.mark.parametrize("change", [prefixed("_orig_mod."), prefixed("module."), prefixed("module._orig_mod."), inside])
def test_known_prefixes_are_taken_off_and_said(
    tmp_path: Path, change: Callable[[State], State], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = load_pretrained(folder(tmp_path / "plain")).state_dict()
    assert capsys.readouterr().out == ""
    found = load_pretrained(folder(tmp_path / "wrapped", change=change)).state_dict()
    assert found.keys() == plain.keys() and all(torch.equal(found[name], plain[name]) for name in plain)
    said = f"weights       of {tmp_path}/wrapped: a wrapper's prefix (_orig_mod. or module.) is taken off their names\n"
    assert capsys.readouterr().out == said


def without(*names: str) -> Callable[[State], State]:
    return lambda state: {name: value for name, value in state.items() if name not in names}


def more(**extra: Tensor) -> Callable[[State], State]:
    return lambda state: state | {name.replace("__", "."): value for name, value in extra.items()}


MISSING = "missing, so they would be random"


@pytest.mark.parametrize(
    ("change", "config", "found"),
    [
        (without("model.norm.weight"), {}, "1 missing, so they would be random: model.norm.weight"),
        (
            without("lm_head.weight"),
            {"tie_word_embeddings": False},
            "1 missing, so they would be random: lm_head.weight",
        ),
        (
            dict,
            {"num_hidden_layers": 1},
            "9 unexpected: model.layers.1.input_layernorm.weight, model.layers.1.mlp.down",
        ),
        (dict, {"num_hidden_layers": 3}, "9 missing, so they would be random: model.layers.2.input_layernorm.weight, "),
        (more(v_head__weight=torch.ones(1, 32)), {}, "1 unexpected: v_head.weight"),
        (more(model__norm__weight=torch.ones(31)), {}, r"1 of another shape: model.norm.weight \[31\], here \[32\]"),
        (more(model__norm__weight=torch.full((32,), torch.nan)), {}, "1 not finite: model.norm.weight"),
        (prefixed("net."), {}, "21 missing, .*lm_head.weight, .* and 18 more; 21 unexpected: net.lm_head.weight, "),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(
    tmp_path: Path, change: Callable[[State], State], config: dict, found: str
) -> None:
    settings = folder(tmp_path / "m", change=change, **config)
    wanted = (
        rf"backbone.name '.*/m': its files do not hold the weights of its config.json. {found}.*Save the model anew"
    )
    with pytest.raises(BackboneError, match=wanted):
        load_pretrained(settings)


@pytest.mark.parametrize("both", [True, False])
def test_a_tied_head_may_be_absent_and_another_one_counts(tmp_path: Path, both: bool) -> None:
    """Where the files have a head of its own, it is used, and the run's saved architecture says so."""
    settings = folder(tmp_path, change=dict if both else without("lm_head.weight"), tie_word_embeddings=True)
    model = load_pretrained(settings)
    head, entry = model.get_output_embeddings().weight, model.get_input_embeddings().weight
    assert (head is entry) == (not both) == model.config.tie_word_embeddings
    if both:
        assert torch.equal(head, load_file(tmp_path / "model.safetensors")["lm_head.weight"])


def test_buffers_of_old_files_are_no_weights(tmp_path: Path) -> None:
    """As in the published files of GPT-2, whose names lack the first part, too."""

    def published(state: State) -> State:
        old = {name.removeprefix("transformer."): value for name, value in state.items() if "lm_head" not in name}
        masks = {f"h.{layer}.attn.bias": torch.ones(1, 1, 160, 160) for layer in range(2)}
        return old | masks | {f"h.{layer}.attn.masked_bias": torch.tensor(-1e4) for layer in range(2)}

    plain = load_pretrained(folder(tmp_path / "plain", "gpt2")).state_dict()
    found = load_pretrained(folder(tmp_path / "old", "gpt2", published)).state_dict()
    assert all(torch.equal(found[name], plain[name]) for name in plain)
    frequencies = more(model__layers__0__self_attn__rotary_emb__inv_freq=torch.ones(4))
    load_pretrained(folder(tmp_path / "llama", change=frequencies))


def gemma3(path: Path) -> Settings:
    """A model that reads images, too, as it is published: the language model is a part of it."""
    tokenizer = build_tokenizer(TEXTS, 280)
    text = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    text |= {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 8, "vocab_size": len(tokenizer)}
    text |= {"bos_token_id": None, "eos_token_id": 0, "pad_token_id": None, "max_position_embeddings": 160}
    seen = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    seen |= {"image_size": 28, "patch_size": 14}
    torch.manual_seed(1)
    config = AutoConfig.for_model("gemma3", text_config=text, vision_config=seen, mm_tokens_per_image=4)
    AutoModelForCausalLM.from_config(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return Settings(name=str(path), training="full")


def test_the_language_model_of_a_larger_one(tmp_path: Path) -> None:
    settings = gemma3(tmp_path)
    whole, model = AutoModelForCausalLM.from_pretrained(tmp_path), load_pretrained(settings)
    ids = torch.arange(10, 40)[None]
    assert torch.allclose(whole(input_ids=ids).logits, model(input_ids=ids).logits, atol=1e-6)
    assert model.config.model_type == "gemma3_text"
    assert not any("vision" in name for name, _ in model.named_parameters()), "nothing is left that no text trains"


PUBLISHED = {"gpt2": "gpt2", "llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "mistral": "mistral"}


@pytest.mark.parametrize("kind", [*PUBLISHED, "gemma3"])
@pytest.mark.parametrize("training", ["full", "lora"])
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
def test_families_that_a_refusal_recommends_pass_the_self_check(tmp_path: Path, kind: str, training: str) -> None:
    """In their published form, and with a window that is shorter than the question."""
    window = {"sliding_window": 6} if kind == "mistral" else {}
    settings = gemma3(tmp_path) if kind == "gemma3" else folder(tmp_path, kind, **window)
    settings.training = training  # type: ignore[assignment]
    backbone = load_backbone(settings, load_tokenizer(settings, tuple), 0)
    assert backbone.positions == 160 and backbone.width == 32
    assert self_check(backbone, trees(backbone)).difference < 1e-5


@pytest.mark.parametrize("kind", ["gpt2", "gptj", "codegen"])
def test_gelu_is_fused_to_the_same_function(tmp_path: Path, kind: str) -> None:
    """In logits and in the gradients of all weights; the configuration keeps the name that the source has for it."""
    settings = folder(tmp_path, kind)
    settings.attention = "eager"
    tokenizer = load_tokenizer(settings, tuple)
    fused, plain = load_backbone(settings, tokenizer, 0).model, load_backbone(settings, tokenizer, 0).model
    with torch.no_grad():
        for model in (fused, plain):
            for weight in model.parameters():
                weight.mul_(4 if weight.ndim > 1 else 1)
    for module in plain.modules():
        for name, child in module.named_children():
            if isinstance(child, GELUTanh):
                setattr(module, name, NewGELUActivation())
    assert sum(isinstance(each, NewGELUActivation) for each in plain.modules()) == 2
    assert sum(isinstance(each, GELUTanh) for each in fused.modules()) == 2
    ids = torch.arange(10, 34).view(2, 12)
    one, other = (model(input_ids=ids).logits for model in (fused, plain))
    assert (one - other).abs().max() <= 1e-6 * other.abs().max()
    for logits in (one, other):
        logits.square().mean().backward()
    for mine, theirs in zip(fused.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-4, atol=1e-5 * float(theirs.grad.abs().max()))
    assert fused.config.activation_function == "gelu_new"


@pytest.mark.parametrize(("kind", "reason"), [("openai-gpt", "take a mask of padding"), ("qwen3_5", "recurrent state")])
def test_families_past_a_mask_are_refused_before_weights_are_read(tmp_path: Path, kind: str, reason: str) -> None:
    AutoConfig.for_model(kind).save_pretrained(tmp_path)
    with pytest.raises(AttentionError, match=f"models of type '{kind}' cannot read a tree in one pass: its .*{reason}"):
        load_pretrained(Settings(name=str(tmp_path)))


def test_a_row_that_pads_trains_where_it_is_a_memory_token(tmp_path: Path) -> None:
    """`padding_idx` takes gradients from a row; RiM's padding is never seen, so no row needs it."""
    tokenizer = build_tokenizer(TEXTS, 280)
    free = len(tokenizer)
    family_model("llama", vocab_size=free + 1, pad_token_id=free).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    settings = Settings(name=str(tmp_path), training="full")
    backbone = load_backbone(settings, load_tokenizer(settings, tuple), 0)
    assert free in backbone.special.memory_tokens
    table = backbone.model.get_input_embeddings()
    table(torch.tensor([free, 5])).sum().backward()
    assert (table.weight.grad[[free, 5]] == 1).all()


def test_a_tokenizer_of_another_model_is_refused(tmp_path: Path) -> None:
    """Its further tokens would have random rows; one that only pads needs none."""
    settings = folder(tmp_path)
    tokenizer = build_tokenizer(TEXTS, 280)
    tokenizer.add_special_tokens({"pad_token": "<pad>"})
    tokenizer.save_pretrained(tmp_path)
    load_backbone(settings, load_tokenizer(settings, tuple), 0)
    tokenizer.add_tokens(["blue", "red"])
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(BackboneError) as error:
        load_backbone(settings, load_tokenizer(settings, tuple), 0)
    assert str(error.value) == (
        "the model has no weights for 2 tokens of the tokenizer, such as ['blue', 'red']: its embedding has 280 rows. "
        "Use the tokenizer that the model was trained with"
    )


def test_a_vocabulary_with_gaps_is_refused(tmp_path: Path) -> None:
    """New tokens are numbered by the count of entries, and would get an id that another one has."""
    tokenizer = build_tokenizer(TEXTS, 280)
    tokenizer.save_pretrained(tmp_path)
    file = tmp_path / "tokenizer.json"
    content = json.loads(file.read_text())
    entries = content["model"]["vocab"]
    last = max(entries, key=entries.get)
    entries[last] = len(entries)
    file.write_text(json.dumps(content))
    with pytest.raises(TokenizerError, match=r"new tokens ids that others have: .* are one\. Its vocabulary has gaps"):
        load_tokenizer(Settings(name=str(tmp_path)), tuple)
