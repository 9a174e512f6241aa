"""Stages are settings: their order, rates, dropout and optimiser state; a batch is trained in its own stage only."""

import signal
from pathlib import Path
from typing import Any

import pytest
import torch

import rim.fit as command
from rim.settings.load import load
from rim.training.module import RimModule, StageMismatch
from rim.training.run import fit, prepare_run
from tests.runs import SWITCH, curve, overrides, tiny
from tests.training.children import Strike, fit_in_child

THREE = """
stages:
  - {name: answers, objective: refinement, duration: 3 steps, learning_rate: 4e-3, warmup: 0 steps, dropout: 0.3}
  - {name: steps, objective: grounding, duration: 4 steps, learning_rate: 2e-3, warmup: 2 steps, schedule: linear}
  - {name: again, objective: refinement, duration: 3 steps, learning_rate: 1e-3, warmup: 0%, reset_optimizer: false}
training: {validate_every: 50%}
"""
SHAPE = [
    text for text in overrides(Path()) if not text.startswith(("stages", "training.validate_every", "run.f", "data.c"))
]


def three(folder: Path, name: str) -> list[str]:
    """The command line of a run with three stages in another order."""
    (folder / "three.yaml").write_text(THREE)
    places = [f"run.folder={folder}", f"data.cache={folder}/cache", f"run.name={name}"]
    return ["--config", str(folder / "three.yaml"), *SHAPE, *places]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A run with three stages, and what was in force before every update."""
    folder, seen, step = tmp_path_factory.mktemp("three"), [], RimModule.training_step

    def watch(module: RimModule, batch: Any, index: int) -> Any:
        state = module.optimizers().optimizer.state
        updates = {int(each["step"]) for each in state.values()} or {0}
        rates = {layer.p for layer in module.backbone.modules() if isinstance(layer, torch.nn.Dropout)}
        seen.append({"stage": batch.stage, "optimiser": updates, "dropout": rates})
        return step(module, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RimModule, "training_step", watch)
        assert command.main(three(folder, "three")) == 0
    return folder / "three", seen


def test_three_stages_in_another_order(watched: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, seen = watched
    names = [record["stage"] for record in curve(folder) if "loss" in record]
    assert names == ["answers"] * 3 + ["steps"] * 4 + ["again"] * 3
    assert [each["stage"] for each in seen] == [0] * 3 + [1] * 4 + [2] * 3
    files = sorted(file.stem for file in (folder / "weights").iterdir())
    assert files == ["again-best", "again-last", "answers-best", "answers-last", "steps-6", "steps-best", "steps-last"]
    assert [len(record["accuracy_by_block"]) for record in curve(folder) if "accuracy" in record] == [3, 3, 1, 1, 3, 3]


def test_rates_are_the_stages(watched: tuple[Path, list[dict[str, Any]]]) -> None:
    rates = [record["learning_rate"] for record in curve(watched[0]) if "loss" in record]
    assert rates == pytest.approx([4e-3] * 3 + [1e-3, 2e-3, 2e-3, 1e-3] + [1e-3] * 3)


def test_optimiser_begins_afresh_or_goes_on(watched: tuple[Path, list[dict[str, Any]]]) -> None:
    assert [each["optimiser"] for each in watched[1]] == [{n} for n in (0, 1, 2, 0, 1, 2, 3, 4, 5, 6)]


def test_dropout_stays_where_a_stage_sets_none(watched: tuple[Path, list[dict[str, Any]]]) -> None:
    assert [each["dropout"] for each in watched[1]] == [{0.3}] * 10


def test_what_a_stage_took_over_survives_kills(watched: tuple[Path, list[dict[str, Any]]], tmp_path: Path) -> None:
    """Dropout of the first stage, optimiser state of the second; killed inside the second, at its end, and after it."""
    line = three(watched[0].parent, "killed")
    for strike in (Strike("on_train_batch_end", 5), Strike("on_train_epoch_end", 7), Strike("on_train_batch_end", 8)):
        assert fit_in_child(tmp_path, line, strike).status == -signal.SIGKILL
    assert fit_in_child(tmp_path, line).status == 0
    assert curve(watched[0].parent / "killed") == curve(watched[0])


@pytest.mark.parametrize(
    ("method", "objective"), [("memory_blocks", "refinement"), ("direct", "answer"), ("cot", "chain")]
)
def test_one_stage(tmp_path: Path, method: str, objective: str) -> None:
    stage = f"{{name: only, objective: {objective}, duration: 6 steps, learning_rate: 1e-2}}"
    (tmp_path / "one.yaml").write_text(f"stages: [{stage}]")
    shape = [*SHAPE, f"run.folder={tmp_path}", f"data.cache={tmp_path}/cache", f"method.name={method}"]
    assert fit(load([tmp_path / "one.yaml"], shape)) == 0
    losses = {record["update"]: record["loss"] for record in curve(tmp_path / "run") if "loss" in record}
    assert list(losses) == list(range(1, 7)) and losses[6] < losses[1]
    assert {file.stem for file in (tmp_path / "run" / "weights").iterdir()} == {"only-3", "only-best", "only-last"}


def test_batch_of_another_stage_is_refused(straight: Path) -> None:
    from rim.training.datamodule import TrainingBatch

    prepared = prepare_run(tiny(straight.parent, "run.name=straight"))
    module = RimModule(
        prepared.backbone,
        prepared.method,
        prepared.plan,
        prepared.config,
        prepared.evaluator,
        prepared.splits.validation,
    )
    module.updates = SWITCH
    for stage, update in ((0, 11), (0, 0), (1, 1)):
        with pytest.raises(StageMismatch) as error:
            module.training_step(TrainingBatch([], stage, update), 0)
        assert str(error.value) == (
            f"a batch of stage {stage}, update {update} arrived in stage 1, update 0: the loader was built for another "
            "segment; rebuild it when the segment changes"
        )
    module.require_place(TrainingBatch([], 1, 0))
