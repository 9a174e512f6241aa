"""Where memory enters: refusals, hooks that leave no trace, self-check, fingerprint, weights, runs and their cost."""

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from rim import evaluate
from rim.backbone import insertion
from rim.backbone.attention import AttentionError
from rim.backbone.backbone import Backbone, BackboneError, Reading
from rim.backbone.insertion import InsertionError, MemoryCache
from rim.backbone.reading import Wanted, read_once
from rim.backbone.selfcheck import self_check
from rim.base.tree import Tree, TreeBatch, pad
from rim.evaluation.latency import latency_of_run
from rim.methods.registry import build_method
from rim.runs.checkpoint import CheckpointError, fingerprint, load_start, load_weights, read_about, save_weights
from rim.runs.folder import RunFolder
from rim.settings import Config
from rim.training.cost import Meter
from tests.families import family_backbone
from tests.models import at, config, example, tiny_backbone
from tests.runs import weights
from tests.swift import fit
from tests.training.test_pretrained import fresh, pretrained, settings


def equipped(family: str = "gpt2", layer: int = 1, **changes: Any) -> Backbone:
    backbone = tiny_backbone(family, **changes)
    build_method(config(insertion_layer=layer), backbone.tokenizer).add_modules(backbone)
    return backbone


def trees(backbone: Backbone) -> list[Tree]:
    method = build_method(config(), backbone.tokenizer)
    return [method.layout(example(q, s, seed=q), at("grounding")) for q, s in [(9, (3, 2, 4)), (14, ())]]


def batch(backbone: Backbone) -> TreeBatch:
    return pad(trees(backbone), backbone.special.pad)


def logits(backbone: Backbone) -> torch.Tensor:
    read = batch(backbone)
    with torch.no_grad():
        return read_once(backbone, read, Wanted(read.source_S)).logits_UV


def hooks(backbone: Backbone) -> int:
    return sum(len(module._forward_pre_hooks) for module in backbone.modules())


# ---------------------------------------------------------------- what is installed


def test_vectors_begin_as_the_rows_of_their_tokens() -> None:
    """As the model reads them: gemma scales its embeddings."""
    for family in ("gpt2", "llama", "gemma3_text"):
        backbone = equipped(family)
        rows = backbone.embed(torch.tensor(backbone.special.memory_tokens))
        assert backbone.insertion is not None and torch.equal(backbone.insertion.vectors, rows)
        assert backbone.trainable_state().keys() - tiny_backbone(family).trainable_state().keys() == {
            "extra.insertion.vectors"
        }


def test_layer_0_installs_nothing() -> None:
    plain, zero = tiny_backbone(), equipped(layer=0)
    assert zero.insertion is None and len(zero.extra) == 0 and hooks(zero) == 0
    assert torch.equal(logits(plain), logits(zero))


@pytest.mark.parametrize("layer", [3, 30])
def test_a_layer_that_the_model_does_not_have(layer: int) -> None:
    with pytest.raises(InsertionError) as error:
        equipped("llama", layer)
    assert str(error.value) == (
        f"memory.insertion_layer = {layer}: this model (llama) has 3 layers, counted from 0; set at most 2, or 0 for "
        "blocks that are read as tokens"
    )


def test_a_pretrained_model_is_refused_before_training(tmp_path: Path) -> None:
    pretrained(tmp_path, "gpt2")
    with pytest.raises(InsertionError, match=r"^memory.insertion_layer = 2: this model \(gpt2\) has 2 layers"):
        fit(settings(tmp_path, "gpt2", "memory.insertion_layer=2"))


def test_layers_that_name_their_inputs_otherwise_are_refused_before_training() -> None:
    """Hooks change inputs by name, and a mask that they missed would show memory where there is none."""
    with pytest.raises(InsertionError) as error:
        family_backbone("ctrl").insert_memory(1, position=True)
    assert str(error.value) == (
        "memory.insertion_layer = 1: layers of 'ctrl' take x, layer_past, attention_mask, kwargs, and no hidden_states "
        "that could be changed; set memory.insertion_layer=0"
    )


@pytest.mark.parametrize("kind", ["opt", "biogpt", "xglm"])
def test_positions_that_the_vectors_cannot_be_given_are_refused(kind: str) -> None:
    with pytest.raises(InsertionError) as error:
        family_backbone(kind).insert_memory(1, position=True)
    assert str(error.value) == (
        f"memory.insertion_position = true: the position embeddings of '{kind}' cannot be added to the memory vectors; "
        "set memory.insertion_position=false, or memory.insertion_layer=0"
    )
    family_backbone(kind).insert_memory(1, position=False)


NARROW = {"memory.insertion_layer = 1": "memory_blocks", "method.distillation = 0.5": "memory_blocks"}
NARROW |= {"method.name=codi": "codi"}


@pytest.mark.parametrize("setting", NARROW)
def test_embeddings_narrower_than_states_are_refused_where_both_meet(setting: str) -> None:
    """As in OPT-350m; methods that read tokens alone work with it."""
    backbone = family_backbone("opt", word_embed_proj_dim=16, do_layer_norm_before=False)
    made = config(NARROW[setting])
    if "insertion" in setting:
        made.memory.insertion_layer = 1
    elif "distillation" in setting:
        made.method.distillation = 0.5
    with pytest.raises(BackboneError) as error:
        build_method(made, backbone.tokenizer).add_modules(backbone)
    assert str(error.value) == (
        f"{setting} needs embeddings and states of one size, and this model (opt) has embeddings of 16 and states of "
        "32: use another backbone.name, or leave it out"
    )
    build_method(config(), backbone.tokenizer).add_modules(backbone)
    plain = [build_method(config(), backbone.tokenizer).layout(example(), at("refinement"))]
    assert self_check(backbone, plain).difference < 1e-5


def test_inputs_and_states_are_refused() -> None:
    backbone = equipped()
    read = batch(backbone)
    reading = Reading(read.visible_BNN(), read.position_BN, read.position_BN, torch.zeros(2, 1, dtype=torch.long))
    with pytest.raises(InsertionError, match=r"^inputs are given in the place of tokens, and memory enters at layer 1"):
        backbone(backbone.embed(read.ids_BN), reading)
    with pytest.raises(InsertionError, match=r"^states of every layer are asked for.*set memory.insertion_layer=0$"):
        backbone(read.ids_BN, reading, states=True)


# ---------------------------------------------------------------- hooks


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_plain_call_of_the_model_knows_nothing_of_it(family: str) -> None:
    backbone, plain = equipped(family), tiny_backbone(family)
    ids = torch.tensor([[5, 9, *backbone.special.memory_tokens, 40]])
    with torch.no_grad():
        wanted = plain.model(input_ids=ids).logits
        assert torch.equal(backbone.model(input_ids=ids).logits, wanted)
        assert not torch.allclose(logits(backbone), logits(plain), atol=1e-2)
        assert torch.equal(backbone.model(input_ids=ids).logits, wanted)


def test_hooks_go_whatever_happens() -> None:
    backbone, counts = equipped(), []
    wanted = logits(backbone)

    def broken(*_: object) -> None:
        counts.append(hooks(backbone))
        raise RuntimeError("in the last layer")

    handle = backbone.model.transformer.h[2].register_forward_hook(broken)
    with pytest.raises(RuntimeError, match="in the last layer"):
        logits(backbone)
    handle.remove()
    assert counts == [3] and hooks(backbone) == 0  # two layers, and the head, which makes the wanted logits alone
    assert torch.equal(logits(backbone), wanted)


@torch.no_grad()
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_a_pass_of_memory_alone_has_one_column_below(attention: str) -> None:
    """It is padding, which later passes do not see."""
    backbone = equipped("llama", attention=attention)
    tokens = backbone.special.memory_tokens
    ids, n = [7, 8, 9, *tokens, 11], 7
    place = torch.arange(n)[None]
    visible = torch.ones(1, n, n, dtype=torch.bool).tril()
    whole = backbone(torch.tensor([ids]), Reading(visible, place, place, place[:, -1:])).logits
    cache, last = backbone.new_cache(), torch.zeros(1, 1, dtype=torch.long)
    for first, end in ((0, 3), (3, 6), (6, 7)):
        part = Reading(visible[:, first:end, :end], place[:, first:end], place[:, :end], last)
        logits = backbone(torch.tensor([ids[first:end]]), part, cache).logits
    torch.testing.assert_close(logits, whole, atol=1e-5, rtol=0)
    assert isinstance(cache, MemoryCache) and cache.column_BC is not None
    assert cache.column_BC.tolist() == [[0, 1, 2, -1, 6]]
    assert [layer.keys.shape[2] for layer in cache.layers] == [5, 7, 7]


# ---------------------------------------------------------------- self-check


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3_text"])
def test_the_self_check_passes_and_leaves_the_insertion_on(family: str) -> None:
    backbone = equipped(family)
    wanted = logits(backbone)
    assert self_check(backbone, trees(backbone)).difference < 1e-5
    assert torch.equal(logits(backbone), wanted)


def test_one_rotary_table_of_complex_numbers() -> None:
    """As Llama 4 has it, in the place of cosines and sines."""
    backbone = family_backbone("llama4_text").eval()
    build_method(config(insertion_layer=1), backbone.tokenizer).add_modules(backbone)
    assert self_check(backbone, trees(backbone)).difference < 1e-5


def test_the_self_check_compares_with_memory_as_tokens_and_where_it_enters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readouts that see each other below ℓ alone are caught by the second comparison."""
    backbone = equipped()
    assert backbone.insertion is not None
    right = insertion._Pass._mask
    causal = lambda now, mask: torch.triu(torch.full_like(right(now, mask), -1e9), 1)  # noqa: E731
    monkeypatch.setattr(insertion._Pass, "_mask", causal)
    with pytest.raises(AttentionError, match=r"'sdpa' where memory enters at layer 1: .* memory.insertion_layer=0,"):
        self_check(backbone, trees(backbone))
    assert backbone.insertion.acts
    del backbone.extra["insertion"]
    assert self_check(backbone, trees(backbone)).difference < 1e-5


# ---------------------------------------------------------------- weights


def test_weights_come_back_and_a_damaged_vector_is_refused(tmp_path: Path) -> None:
    """Each of the vectors; the plain fingerprint is the one of a model without an insertion."""
    path, first = tmp_path / "w.safetensors", equipped("llama")
    with torch.no_grad():
        first.insertion.vectors.normal_()  # type: ignore[union-attr]
    save_weights(first, path, {})
    second = equipped("llama")
    load_weights(second, path)
    assert torch.equal(logits(first), logits(second))
    about, state = read_about(path), safetensors.torch.load_file(path)
    assert about["fingerprint"] == fingerprint(tiny_backbone("llama")) == fingerprint(first)
    with safetensors.safe_open(path, framework="pt") as file:
        facts = file.metadata()
    for slot in range(3):
        changed = {name: value.clone() for name, value in state.items()}
        changed["extra.insertion.vectors"][slot].add_(0.3)
        safetensors.torch.save_file(changed, path, facts)
        with pytest.raises(CheckpointError, match="no longer give the logits that they gave when saved"):
            load_weights(equipped("llama"), path)


def test_another_layer_is_refused_by_the_fingerprint(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(equipped(layer=1), path, {})
    with pytest.raises(CheckpointError, match="no longer give the logits"):
        load_weights(equipped(layer=2), path)
    with pytest.raises(CheckpointError, match=r"1 unknown \['extra.insertion.vectors'\]"):
        load_weights(tiny_backbone(), path)


@pytest.mark.parametrize(("theirs", "mine"), [(0, 1), (1, 0), (1, 2)])
def test_a_run_may_start_from_one_with_another_layer(tmp_path: Path, theirs: int, mine: int) -> None:
    path, before = tmp_path / "w.safetensors", equipped(layer=theirs)
    with torch.no_grad():
        for parameter in before.parameters():
            parameter.add_(0.01)
    save_weights(before, path, {})
    backbone = equipped(layer=mine)
    vectors = backbone.insertion and backbone.insertion.vectors.clone()
    load_start(backbone, path)
    assert fingerprint(backbone) == fingerprint(before)
    if backbone.insertion is not None:
        taken = before.insertion.vectors if before.insertion is not None else vectors
        assert torch.equal(backbone.insertion.vectors, taken)


# ---------------------------------------------------------------- runs


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
def test_a_run_with_adapters(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Trained, scored with all controls, loaded and scored again; the rows of memory stay as they were."""
    pretrained(tmp_path, "llama-untied")
    controls = "evaluation.controls=[removed, swapped, noise]"
    run = settings(tmp_path, "llama-untied", "memory.insertion_layer=1", controls)
    assert fit(run) == 0
    folder = RunFolder(tmp_path / "run-llama-untied")
    backbone, _ = folder.load_backbone()
    kept = weights(folder.path, "refinement-last")
    (rows,) = [value for name, value in kept.items() if ".rows." in name]
    first = rows_at_first(run)
    assert torch.equal(rows, first)
    assert (kept["extra.insertion.vectors"] != first).any(1).all(), "every vector has been trained"
    predictions = folder.path / "results" / "tracking-test.jsonl"
    before = predictions.read_bytes()
    predictions.unlink()
    assert evaluate.main(["--run", str(folder.path)]) == 0
    assert predictions.read_bytes() == before
    assert backbone.insertion is not None and backbone.insertion.layer == 1
    assert "noise" in capsys.readouterr().out
    assert latency_of_run(folder)["prefill_passes"] == 1


def rows_at_first(run: Config) -> torch.Tensor:
    """Rows of the memory tokens as a run's model begins with them."""
    backbone = fresh(run)
    return backbone.embed(torch.tensor(backbone.special.memory_tokens)).detach()


def test_operations_of_training_fall_by_what_memory_costs_in_a_layer() -> None:
    """Forward and backward, each product once and twice: 24 D² of a token's matrices, 4 D of each query and key."""
    counts = []
    for layer in (0, 1, 2):
        backbone = equipped(layer=layer)
        method = build_method(config(insertion_layer=layer), backbone.tokenizer)
        tree = method.layout(example(9, (3, 2, 4)), at("grounding"))
        counts.append(Meter(method, backbone)._count(tree))
    read = pad([tree], backbone.special.pad)
    n, memory, d = read.ids_BN.shape[1], int(read.memory_BN.sum()), backbone.width
    saved = 3 * (24 * d * d * memory + 4 * d * (n**2 - (n - memory) ** 2))
    assert [counts[0] - counts[1], counts[1] - counts[2]] == [saved, saved]
