"""A run that begins with the weights of another: what is taken over, what is kept, and what is refused."""

import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rim.backbone.backbone import Backbone
from rim.backbone.load import load_tokenizer
from rim.base.errors import UserError
from rim.data.prepare import training_texts
from rim.runs.checkpoint import CheckpointError, load_start, load_weights, save_weights
from rim.runs.folder import RunFolder
from rim.settings import Config
from rim.settings.load import load
from rim.training.module import RimModule
from rim.training.run import fit, prepare_run
from tests.models import tiny_backbone
from tests.runs import curve, overrides, tiny, weights
from tests.training.children import Strike, fit_in_child
from tests.training.test_pretrained import logits, pretrained
from tests.training.test_pretrained import settings as adapted

CHAINS = (
    "method.name=cot",
    "stages=[{name: first, objective: chain}, {name: second, objective: chain}]",
    "evaluation.controls=[]",
)
OTHER_TEXTS = "data.tracking.people=4"
"""Makes the stories of a run others than those of the run that it starts from, and so its own vocabulary."""


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def cot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run on chains of thought, beside which others can be made; it is read only."""
    folder = tmp_path_factory.mktemp("runs")
    assert fit(tiny(folder, "run.name=cot", *CHAINS)) == 0
    return folder / "cot"


@pytest.fixture(scope="module")
def begun(cot: Path) -> tuple[Path, dict[str, Tensor]]:
    """Folder of a finished run of memory blocks that started from it, and its weights before the first update."""
    states: list[dict[str, Tensor]] = []

    def watch(module: RimModule) -> None:
        states.append({name: value.clone() for name, value in module.backbone.trainable_state().items()})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RimModule, "on_train_epoch_start", watch, raising=False)
        assert fit(started(cot, "run.name=begun")) == 0
    return cot.parent / "begun", states[0]


def started(cot: Path, *more: str) -> Config:
    return tiny(cot.parent, OTHER_TEXTS, f"backbone.start_from={cot}", *more)


def test_training_begins_with_the_final_pick(cot: Path, begun: tuple[Path, dict[str, Tensor]]) -> None:
    folder, state = begun
    assert same(state, weights(cot, "second-best"))
    assert not same(state, weights(cot, "first-last")) and not same(state, weights(folder, "refinement-best"))


def test_the_vocabulary_is_that_of_the_other_run(cot: Path, begun: tuple[Path, dict[str, Tensor]]) -> None:
    config = started(cot)
    theirs = RunFolder(cot).load_backbone()[0].tokenizer.get_vocab()
    texts = lambda: training_texts(config.data)  # noqa: E731
    assert RunFolder(begun[0]).load_backbone()[0].tokenizer.get_vocab() == theirs
    assert load_tokenizer(config.backbone, texts).get_vocab() == theirs
    config.backbone.start_from = None
    assert load_tokenizer(config.backbone, texts).get_vocab() != theirs


def test_a_file_of_weights_can_be_named(cot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = cot / "weights" / "first-last.safetensors"
    state = trained(started(cot, "run.name=file", f"backbone.start_from={file}"))
    assert same(state, weights(cot, "first-last"))
    monkeypatch.chdir(cot / "weights")
    state = trained(started(cot, "run.name=near", "backbone.start_from=first-last.safetensors"))
    assert same(state, weights(cot, "first-last"))


def test_after_the_first_call_the_other_folder_may_go(
    cot: Path, begun: tuple[Path, dict[str, Tensor]], tmp_path: Path
) -> None:
    """Killed before anything was saved and killed again later, the run lands on the uninterrupted curve."""
    gone = cot.parent / "gone"
    shutil.copytree(cot, gone)
    line = overrides(cot.parent, OTHER_TEXTS, f"backbone.start_from={gone}", "run.name=alone")
    assert fit_in_child(tmp_path, line, Strike("on_train_batch_end", 1)).status == -signal.SIGKILL
    shutil.rmtree(gone)
    assert fit_in_child(tmp_path, line, Strike("on_train_batch_end", 7)).status == -signal.SIGKILL
    ended = fit_in_child(tmp_path, line)
    assert ended.status == 0 and "resumed       after update 6" in ended.output, ended.output
    alone = cot.parent / "alone"
    assert curve(alone) == curve(begun[0])
    (alone / "start.safetensors").unlink()
    assert fit(tiny(cot.parent, OTHER_TEXTS, f"backbone.start_from={gone}", "run.name=alone")) == 0
    _, about = RunFolder(alone).load_backbone()
    assert about["stage"] == "refinement"


def test_what_a_run_began_with_stays_when_the_other_run_trains_on(cot: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without links gets a copy."""
    source = cot / "weights" / "second-best.safetensors"
    kept = {}
    for name, link in (("linked", os.link), ("copied", refuse)):
        monkeypatch.setattr(os, "link", link)
        prepare_run(started(cot, f"run.name={name}"))
        kept[name] = cot.parent / name / "start.safetensors"
    before = source.read_bytes()
    assert [file.samefile(source) for file in kept.values()] == [True, False]
    save_weights(prepare_run(started(cot, "run.name=linked")).backbone, source, {"name": "second-best", "update": 99})
    assert source.read_bytes() != before
    assert [file.read_bytes() == before for file in kept.values()] == [True, True]
    source.write_bytes(before)


def refuse(*_: object) -> None:
    raise OSError("no links here")


# ---------------------------------------------------------------------- refusals


def refusal(config: Config) -> str:
    """What is said, before a run folder is made that the mended command would stumble over."""
    with pytest.raises(UserError) as error:
        prepare_run(config)
    assert not (Path(config.run.folder) / config.run.name).exists()
    return str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "backbone.start_from=COT/weights/frist-best.safetensors",
            "there are no weights 'frist-best' in COT/weights; there are: first-3, first-6, first-9, first-best, ",
        ),
        ("backbone.start_from=COT/weights", "COT/weights is not a run folder: it has no config.yaml. Runs beside it: "),
        ("backbone.start_from=COT/nowhere", "COT/nowhere is not a run folder: it has no config.yaml. Runs beside it: "),
        (
            "backbone.training=lora",
            "COT/config.yaml has backbone.training=full, and this run has lora: their weights have other names. Set "
            "backbone.training=full, or start from a run with backbone.training=lora",
        ),
        (
            "backbone.source=pretrained",
            "COT/config.yaml has backbone.source=scratch, and this run has pretrained: their weights have other names. "
            "Set backbone.source=scratch, or start from a run with backbone.source=pretrained",
        ),
        (
            "backbone.scratch.width=48",
            "the weights of COT/weights/second-best.safetensors do not fit this model: 0 missing [], 0 unknown [], 28 "
            "of another shape ['model.transformer.h.0.attn.c_attn.bias', 'model.transformer.h.0.attn.c_attn.weight']. "
            "Load them with the backbone and adapter settings of their own run (its config.yaml). Other than in "
            "COT/config.yaml are backbone.scratch.width: 32 -> 48",
        ),
        ("backbone.scratch.layers=3", "12 missing ['model.transformer.h.2.attn.c_attn.bias', "),
        ("backbone.scratch.heads=4", "no longer give the logits that they gave when saved"),
        ("backbone.scratch.heads=4", ". Other than in COT/config.yaml are backbone.scratch.heads: 2 -> 4"),
    ],
)
def test_what_does_not_fit_is_named(cot: Path, change: str, message: str) -> None:
    words = refusal(started(cot, "run.name=refused", change.replace("COT", str(cot))))
    assert words.startswith(f"backbone.start_from={cot}") and message.replace("COT", str(cot)) in words


def test_settings_that_do_not_matter_may_differ(cot: Path) -> None:
    more = ("scratch.dropout=0.1", "scratch.spread=0.3", "scratch.vocabulary=290", "attention=eager", "lora.rank=3")
    prepared = prepare_run(started(cot, "run.name=free", "run.seed=5", *(f"backbone.{setting}" for setting in more)))
    assert same(prepared.backbone.trainable_state(), weights(cot, "second-best"))


def test_a_run_without_a_score_or_a_tokenizer(cot: Path) -> None:
    half = cot.parent / "half"
    half.mkdir(exist_ok=True)
    shutil.copy(cot / "config.yaml", half)
    config = started(cot, "run.name=refused", f"backbone.start_from={half}")
    assert refusal(config) == (
        f"backbone.start_from={half}: {half} has no scored weights yet: let the run reach its first validation"
    )
    shutil.copytree(cot / "weights", half / "weights", dirs_exist_ok=True)
    shutil.copy(cot / "selection.json", half)
    assert refusal(config) == (
        f"backbone.start_from={half}: there is no folder {half}/tokenizer, and weights mean nothing without the "
        "tokenizer of their run. Name a run folder, or a file of its weights/"
    )


# ---------------------------------------------------------------------- modules of methods


def with_extra(shift: float, size: int | None) -> Backbone:
    """A model, and a module of a method where it has a size."""
    backbone = tiny_backbone()
    if size:
        backbone.extra["part"] = nn.Linear(size, size)
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter.add_(shift)
    return backbone


@pytest.mark.parametrize(("theirs", "mine"), [(None, 2), (2, None), (2, 2)])
def test_modules_of_methods_are_taken_where_both_have_them(
    tmp_path: Path, theirs: int | None, mine: int | None
) -> None:
    first, second, path = with_extra(0.0, theirs), with_extra(0.1, mine), tmp_path / "weights" / "w.safetensors"
    own = {name: value.clone() for name, value in second.extra.state_dict().items()}
    save_weights(first, path, {})
    load_start(second, path)
    assert same(second.model.state_dict(), first.model.state_dict())
    assert same(second.extra.state_dict(), first.extra.state_dict() if theirs and mine else own)
    if theirs != mine:
        with pytest.raises(CheckpointError, match="do not fit this model"):
            load_weights(second, path)


def test_a_module_of_another_shape_is_refused(tmp_path: Path) -> None:
    save_weights(with_extra(0.0, 2), tmp_path / "w.safetensors", {})
    with pytest.raises(CheckpointError, match=r"2 of another shape \['extra.part.bias', 'extra.part.weight'\]"):
        load_start(with_extra(0.1, 3), tmp_path / "w.safetensors")


def test_codi_begins_with_its_own_projection_and_the_chains_model(cot: Path) -> None:
    line = [item for item in overrides(cot.parent) if not item.startswith("stages.")]
    line += ["method.name=codi", "stages=[{name: codi, objective: distillation}]", "run.name=codi"]
    made = trained(load([], [*line, f"backbone.start_from={cot}"]))
    fresh, theirs = trained(load([], [*line, "run.name=fresh"])), weights(cot, "second-best")
    assert same({name: value for name, value in made.items() if not name.startswith("extra.")}, theirs)
    assert all(torch.equal(made[name], fresh[name]) for name in made.keys() - theirs.keys()) and len(made) > len(theirs)


def trained(config: Config) -> dict[str, Tensor]:
    return prepare_run(config).backbone.trainable_state()


# ---------------------------------------------------------------------- adapters


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run with adapters on a pretrained model, whose head's memory rows are drawn by the seed."""
    folder = tmp_path_factory.mktemp("adapters")
    pretrained(folder, "llama-untied")
    assert fit(adapted(folder, "llama-untied")) == 0
    return folder / "run-llama-untied"


def follow(lora: Path, *more: str) -> Config:
    return adapted(lora.parent, "llama-untied", "run.name=next", f"backbone.start_from={lora}", *more)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
def test_adapters_go_on_under_another_seed_and_dropout(lora: Path) -> None:
    config = follow(lora, "run.seed=1", "backbone.lora.dropout=0.1")
    prepared, theirs = prepare_run(config), RunFolder(lora).load_backbone()[0]
    assert same(prepared.backbone.trainable_state(), theirs.trainable_state())
    ordinary = min(theirs.special.memory_tokens)
    mine, wanted = logits(prepared.backbone), logits(theirs)
    assert torch.equal(mine[..., :ordinary], wanted[..., :ordinary]) and not torch.equal(mine, wanted)
    assert fit(config) == 0
    assert RunFolder(lora.parent / "next").load_backbone()[1]["stage"] == "refinement"


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("backbone.lora.rank=8", "of another shape ['model.base_model.model.model"),
        ("backbone.lora.rank=8", ". Other than in LORA/config.yaml are backbone.lora.rank: 4 -> 8"),
        ("backbone.lora.alpha=2000", "no longer give the logits that they gave when saved"),
        ("backbone.lora.alpha=2000", ". Other than in LORA/config.yaml are backbone.lora.alpha: 32 -> 2000"),
    ],
)
def test_adapters_of_another_form_are_refused(lora: Path, change: str, message: str) -> None:
    assert message.replace("LORA", str(lora)) in refusal(follow(lora, "run.name=refused", change))
