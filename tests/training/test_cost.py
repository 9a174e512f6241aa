"""Counted operations: against formulas by hand, plain loops, and what a run reports."""

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from rim.backbone.adapters import add_adapters
from rim.backbone.backbone import Backbone
from rim.backbone.dropout import set_dropout
from rim.base.tree import TreeBatch, pad
from rim.data.encode import EncodedExample
from rim.methods.direct import Direct
from rim.methods.method import Losses, Method
from rim.methods.registry import METHODS, build_method
from rim.settings import Config, Lora
from rim.settings.load import load
from rim.training.cost import Meter, TrainingCost, cost_of, updates_for
from rim.training.final_scores import _flops_of
from rim.training.plan import StagePlan, make_plan
from rim.training.run import fit
from tests.models import config, example, tiny_backbone
from tests.runs import END, overrides, tiny


class Rows(list[EncodedExample]):
    """Rows in memory, with the lengths that an encoded split has."""

    @property
    def question_lengths(self) -> np.ndarray:
        return np.array([len(row.question) for row in self])

    def chain_lengths(self, separator: int) -> np.ndarray:
        return np.array([sum(len(part) + separator for part in row.steps) + len(row.answer) for row in self])


ROWS = Rows(example(question, steps, answer, seed) for seed, (question, steps, answer) in enumerate(
    [(9, (3, 2, 4), 2), (5, (2,), 1), (14, (4, 4), 3), (9, (3, 2, 4), 2), (7, (), 2)]
))  # fmt: skip


def stages(settings: Config, length: int = 40) -> tuple[StagePlan, ...]:
    """The method's own stages in a training of `length` updates on `ROWS`."""
    training = replace(settings.training, duration=f"{length} steps", batch_size=2)
    return make_plan(settings.stages, training, len(ROWS)).stages


def flops(
    backbone: Backbone, settings: Config, rows: list[EncodedExample] = ROWS, stage: int = 0, **more: int
) -> float:
    method = build_method(settings, backbone.tokenizer)
    return Meter(method, backbone).stage(Rows(rows), stages(settings)[stage], **more)  # type: ignore[arg-type]


def plainly(backbone: Backbone, method: Method, row: EncodedExample, progress: object) -> int:
    """The reference: one ordinary backward, counted by the library alone (right where attention is eager)."""
    backbone = copy.deepcopy(backbone)
    with FlopCounterMode(display=False) as counter:
        batch = pad([method.layout(row, progress)], backbone.special.pad)  # type: ignore[arg-type]
        method.losses(backbone, batch).total.backward()
    return counter.get_total_flops()


def products(backbone: Backbone, *, trained: bool) -> int:
    """Entries of the matrices that every position is multiplied with."""
    inside = [p for name, p in backbone.named_parameters() if p.ndim == 2 and (".layers." in name or ".h." in name)]
    return sum(p.numel() for p in inside if p.requires_grad == trained)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_direct_answers_cost_what_a_formula_says(family: str, attention: str) -> None:
    """11 tokens are read (9 of the question, 2 of the answer) and 3 predicted; 3 layers, width 32, 300 words.

    A product with weights costs 2 operations an entry forward and 4 backward; attention two products of 11 x 11 scores
    with the width forward and four backward.
    """
    backbone = tiny_backbone(family, attention)
    weights = 6 * 11 * products(backbone, trained=True) + 6 * 3 * 300 * 32
    assert flops(backbone, config("direct"), [example(9, (), 2)]) == weights + 3 * (3 * 4 * 11 * 11 * 32)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
@pytest.mark.parametrize("stage", [0, 1])
def test_the_kernel_of_attention_does_not_matter(family: str, stage: int) -> None:
    fused, plain = (flops(tiny_backbone(family, kernel), config(), stage=stage) for kernel in ("sdpa", "eager"))
    assert fused == plain


def test_a_stage_is_the_mean_over_rows_and_moments() -> None:
    """Rows of one shape share a count; a fading readout does not share that of the moment before."""
    settings, backbone = config(), tiny_backbone("gpt2", "eager")
    method, (grounding, _) = build_method(settings, backbone.tokenizer), stages(settings)
    assert grounding.length == 30
    counts = [plainly(backbone, method, row, grounding.progress(update)) for update in (5, 15, 25) for row in ROWS]
    assert len(set(counts)) > 4
    assert flops(backbone, settings, points=3) == sum(counts) / len(counts)
    second_and_fourth_longest = [plainly(backbone, method, ROWS[row], grounding.progress(15)) for row in (4, 3)]
    assert flops(backbone, settings, examples=2, points=1) == sum(second_and_fourth_longest) / 2


@pytest.mark.parametrize("period", [2, 3, 4, 6])
def test_stories_of_more_and_more_steps_in_turn_are_measured_alike(period: int) -> None:
    """16 of 96 rows at equal distances would all have one number of steps: the generated tasks tell theirs in turn."""
    rows = [example(3 + 2 * (row % period), (2,) * (1 + row % period), 1, row) for row in range(96)]
    all_rows, measured = (flops(tiny_backbone(), config(), rows, examples=count, points=1) for count in (96, 12))
    assert measured == pytest.approx(all_rows, rel=1e-12)


def test_steps_that_keep_a_weight_cost_what_whole_steps_cost() -> None:
    """Fading saves nothing above a floor; in refinement a step costs its tokens, whatever it weighs."""
    backbone = tiny_backbone(num_hidden_layers=1, n_layer=1)

    def cost(stage: int, **changes: object) -> float:
        settings = config()
        for name, value in changes.items():
            setattr(settings.method, name, value)
        return flops(backbone, settings, ROWS[:1], stage, points=3)

    assert cost(0) < cost(0, fade_floor=0.1) == cost(0, fade="none")
    assert cost(1) < cost(1, refinement_steps=0.1) == cost(1, refinement_steps=1.0)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_counted_as_it_trains(name: str) -> None:
    """Chains of passes, loops and teachers too, in all stages: as one ordinary backward for each row and moment."""
    settings, backbone, rows = config(name), tiny_backbone("llama", "eager", num_hidden_layers=1), Rows(ROWS[1:4])
    method = build_method(settings, backbone.tokenizer)
    method.add_modules(backbone)
    for stage in stages(settings):
        moments = [stage.progress(stage.length * quarter // 4) for quarter in (1, 3)]
        counts = [plainly(backbone, method, row, progress) for progress in moments for row in rows]
        assert Meter(method, backbone).stage(rows, stage, points=2) == sum(counts) / len(counts)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
def test_frozen_weights_cost_no_gradient_of_their_own() -> None:
    """LoRA: 4 operations an entry of a frozen matrix, the head's among them, 6 of an adapter."""
    backbone = tiny_backbone("llama")
    adapted = add_adapters(backbone.model, Lora(rank=4, dropout=0.0), backbone.special)
    backbone = Backbone(adapted, backbone.tokenizer, backbone.special)
    frozen, adapters = products(backbone, trained=False), products(backbone, trained=True)
    assert frozen > adapters > 0
    expected = 11 * (4 * frozen + 6 * adapters) + 4 * 3 * 300 * 32 + 3 * (3 * 4 * 11 * 11 * 32)
    assert flops(backbone, config("direct"), [example(9, (), 2)]) == expected


class Twice(Direct):
    """Reads everything twice and learns from the second reading."""

    def losses(self, backbone: Backbone, batch: TreeBatch) -> Losses:
        with torch.no_grad():
            super().losses(backbone, batch)
        return super().losses(backbone, batch)


def test_every_pass_counts() -> None:
    """A pass without gradients is a third of a pass with them."""
    backbone, settings = tiny_backbone(), config("direct")
    once, twice = (
        Meter(kind(settings, backbone.tokenizer), backbone).stage(ROWS, stages(settings)[0])  # type: ignore[arg-type]
        for kind in (Direct, Twice)
    )
    assert twice == pytest.approx(once * 4 / 3)


class Draws(Twice):
    """Throws a coin whether to read once more."""

    def losses(self, backbone: Backbone, batch: TreeBatch) -> Losses:
        return super().losses(backbone, batch) if torch.rand(()) < 0.5 else Direct.losses(self, backbone, batch)


def test_measuring_leaves_no_trace() -> None:
    """Dropout is on, gradients are off, and random numbers go on as if nothing had happened."""
    backbone, settings = tiny_backbone(), config("direct")
    method, (stage,) = Draws(settings, backbone.tokenizer), stages(settings)
    still = Meter(method, backbone).stage(ROWS, stage)  # type: ignore[arg-type]
    set_dropout(backbone, 0.5)
    backbone.train()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with torch.no_grad():
        again = [Meter(method, backbone).stage(ROWS, stage) for _ in range(4)]  # type: ignore[arg-type]
    assert again == [still] * 4
    assert torch.equal(torch.rand(3), expected)
    assert all(parameter.grad is None for parameter in backbone.parameters())
    assert all(module.training for module in backbone.modules())


def test_gradients_that_are_there_stay() -> None:
    backbone = tiny_backbone()
    weight = next(backbone.parameters())
    weight.grad = torch.ones_like(weight)
    flops(backbone, config())
    assert torch.equal(weight.grad, torch.ones_like(weight))


def test_a_plan_costs_the_sum_of_its_stages() -> None:
    settings, backbone = config(), tiny_backbone()
    settings.training.duration, settings.training.batch_size = "40 steps", 2
    plan = make_plan(settings.stages, settings.training, len(ROWS))
    cost = Meter(build_method(settings, backbone.tokenizer), backbone).plan(ROWS, plan, 2)  # type: ignore[arg-type]
    grounding, refinement = (flops(backbone, settings, stage=stage) for stage in (0, 1))
    assert cost == TrainingCost({"grounding": grounding, "refinement": refinement}, {"grounding": 60, "refinement": 20})
    assert cost.flops == 60 * grounding + 20 * refinement


@pytest.fixture(scope="module", autouse=True)
def swift() -> None:
    """These runs count what they cost."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished run."""
    folder = tmp_path_factory.mktemp("cost")
    assert fit(tiny(folder, "run.name=first")) == 0
    return folder / "first"


def training(run: Path) -> dict:
    return json.loads((run / "result.json").read_text())["training"]


def test_a_run_reports_what_was_foretold(finished: Path) -> None:
    cost = cost_of(tiny(finished.parent))
    facts = training(finished)
    assert facts["flops"] == cost.flops > 0
    assert facts["flops_per_example"] == cost.flops_per_example
    assert cost.examples == {"grounding": 12 * 8, "refinement": (END - 12) * 8}
    report = (finished / "report.md").read_text()
    cells = {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in report.split("\n")}
    assert ("training FLOPs", f"{cost.flops:.3g}") in cells
    assert ("FLOPs per example, grounding", f"{cost.flops_per_example['grounding']:.3g}") in cells
    assert "before it" not in report


def test_a_run_that_goes_on_from_another_reports_both(finished: Path) -> None:
    more = (f"backbone.start_from={finished}", "stages.0.duration=2 steps", "stages.1.duration=2 steps")
    assert fit(tiny(finished.parent, "run.name=second", *more)) == 0
    facts = training(finished.parent / "second")
    assert facts["flops_before"] == training(finished)["flops"]
    assert facts["flops"] < facts["flops_before"]
    assert f"{facts['flops_before']:.3g} |" in (finished.parent / "second" / "report.md").read_text()


@pytest.mark.parametrize(
    ("facts", "before"),
    [
        ({"flops": 5.0}, 5.0),
        ({"flops": 5.0, "flops_before": 2.0}, 7.0),
        ({"flops": 5.0, "flops_before": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_what_earlier_runs_had_cost(tmp_path: Path, facts: dict | None, before: float | None) -> None:
    """Of a run that stands on others all of it; unknown where any of them did not report."""
    if facts is not None:
        (tmp_path / "result.json").write_text(json.dumps({"training": facts}))
    assert _flops_of(tmp_path) == before


def shares(folder: Path, *more: str) -> Config:
    """A tiny run whose stages are all given in per cent."""
    plain = [text for text in overrides(folder) if not text.startswith("stages.")]
    return load([], [*plain, "data.tracking.train_rows=8", "training.duration=40 steps", *more])


@pytest.mark.parametrize(("name", "wanted"), [("memory_blocks", 17), ("memory_blocks", 61), ("direct", 25)])
def test_a_budget_becomes_the_nearest_number_of_updates(tmp_path: Path, name: str, wanted: int) -> None:
    """What N updates cost gives N, and so does a budget that is nearer to it than to what one more or fewer cost."""
    costs = [
        cost_of(shares(tmp_path, f"method.name={name}", f"training.duration={updates} steps")).flops
        for updates in (wanted - 1, wanted, wanted + 1)
    ]
    for weights in ((0, 1, 0), (0.4, 0.6, 0), (0, 0.6, 0.4)):
        budget = sum(weight * cost for weight, cost in zip(weights, costs, strict=True))
        assert updates_for(shares(tmp_path, f"method.name={name}"), budget) == wanted


def test_the_smallest_budget_is_one_update(tmp_path: Path) -> None:
    assert updates_for(shares(tmp_path), 1.0) == 1
