"""The gradient of an update is that of the weighted mean over its examples, however the batch is cut."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from rim.backbone.dropout import set_dropout
from rim.data.encode import EncodedExample
from rim.methods.registry import build_method
from rim.training.datamodule import DataModule, dealt
from rim.training.module import RimModule
from rim.training.prepared import Prepared
from rim.training.run import prepare_run, train
from tests.runs import SWITCH, tiny

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning:lightning")

Gradient = dict[str, Tensor]

GROUNDING, REFINEMENT = SWITCH // 2, SWITCH + 3
"""Updates that are looked at: grounding has 6 of 12 behind it, so that λ_t = clip(1 - T / 2t, 0, 1)."""


class Captured(Exception):
    """The gradient of one update has been taken, before clipping."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    made = prepare_run(tiny(tmp_path_factory.mktemp("losses"), "stages.1.dropout=0"))
    steps = {len(made.splits.train[row].steps) for row in range(8)}
    assert steps == {1, 2, 3}, "examples have to differ in their number of readouts"
    return made


@pytest.fixture
def gradient(prepared: Prepared, monkeypatch: pytest.MonkeyPatch):
    """Function from a position and settings to the gradient that the real trainer arrives at."""

    def at(updates: int, *overrides: str, dropout: float = 0.0) -> Gradient:
        folder = prepared.folder.path.parent
        config = tiny(folder, "stages.1.dropout=0", *overrides)
        for stage in config.stages:
            stage.dropout = dropout
        pairs = zip(prepared.plan.stages, config.stages, strict=True)
        plans = tuple(replace(plan, stage=stage) for plan, stage in pairs)
        method = build_method(config, prepared.backbone.tokenizer)
        taken: list[Gradient] = []

        def capture(module: RimModule, *_: object) -> None:
            taken.append({name: p.grad.clone() for name, p in module.backbone.named_parameters()})
            raise Captured

        monkeypatch.setattr(RimModule, "clip_gradient", capture)
        with pytest.raises(Captured):
            train(replace(prepared, config=config, method=method, plan=replace(prepared.plan, stages=plans)), updates)
        return taken[0]

    return at


def distance(a: Gradient, b: Gradient) -> float:
    """Norm of the difference, as a share of the norm."""
    assert a.keys() == b.keys()
    size = torch.cat([value.flatten() for value in b.values()]).norm()
    return float(torch.cat([(a[name] - b[name]).flatten() for name in b]).norm() / size)


@pytest.mark.parametrize("updates", [GROUNDING, REFINEMENT])
def test_lines_and_passes_change_nothing(gradient, updates: int) -> None:
    """One example a line in one pass, against several in a line (of 30 tokens: as many as the longest has), in many
    passes (of 1 token: of one line each) or in one."""
    alone = gradient(updates, "training.tokens_per_line=1", "training.tokens_per_pass=10000")
    for line, tokens in ((1, 1), (30, 100), (96, 1), (96, 192), (200, 10_000), (10_000, 10_000)):
        sizes = (f"training.tokens_per_line={line}", f"training.tokens_per_pass={tokens}")
        assert distance(gradient(updates, *sizes), alone) < 1e-6


def test_dropout_noise_is_a_function_of_the_position(gradient) -> None:
    first = gradient(REFINEMENT, dropout=0.3)
    torch.manual_seed(99)
    assert distance(gradient(REFINEMENT, dropout=0.3), first) == 0
    assert distance(gradient(REFINEMENT), first) > 0.05
    assert distance(gradient(REFINEMENT, "run.seed=1", "data.tracking.seed=0", dropout=0.3), first) > 0.05


@pytest.mark.parametrize("within", ["mean", "sum"])
@pytest.mark.parametrize("across", ["weights", "readouts", "examples"])
@pytest.mark.parametrize("updates", [GROUNDING, REFINEMENT])
def test_gradient_of_the_weighted_mean(prepared: Prepared, gradient, updates: int, across: str, within: str) -> None:
    options = (f"method.across_readouts={across}", f"method.within_readout={within}")
    mine = gradient(updates, *options)
    assert distance(mine, reference(prepared, updates, across, within)) < 2e-6


@pytest.mark.parametrize("across", ["weights", "readouts"])
@pytest.mark.parametrize(
    ("updates", "field"), [(GROUNDING, "fade_floor"), (REFINEMENT, "refinement_steps")], ids=["floor", "refinement"]
)
def test_gradient_where_steps_keep_a_weight(
    prepared: Prepared, gradient, updates: int, field: str, across: str
) -> None:
    mine = gradient(updates, f"method.across_readouts={across}", f"method.{field}=0.4")
    assert distance(mine, reference(prepared, updates, across, "mean", kept=0.4)) < 2e-6
    assert distance(mine, reference(prepared, updates, across, "mean")) > 0.02


def reference(prepared: Prepared, updates: int, across: str, within: str, kept: float = 0.0) -> Gradient:
    """One causal pass per readout over plain text, one at a time; the definition of the loss, written out."""
    backbone = prepared.backbone
    set_dropout(backbone, 0.0)
    backbone.zero_grad()
    total, weights, readouts, examples = torch.zeros(()), 0.0, 0, 0
    for example in batch(prepared, updates):
        examples += 1
        for text, ids, weight in readings(prepared, example, updates, kept):
            targets = torch.tensor([*ids, backbone.special.end])
            logits = backbone.model(input_ids=torch.tensor([[*text, *ids]])).logits[0, -len(targets) :]
            total = total + weight * cross_entropy(logits, targets, reduction=within)
            weights, readouts = weights + weight, readouts + 1
    (total / {"weights": weights, "readouts": readouts, "examples": examples}[across]).backward()
    return {name: p.grad.clone() for name, p in backbone.named_parameters() if p.grad is not None}


def readings(
    prepared: Prepared, example: EncodedExample, updates: int, kept: float = 0.0
) -> Iterator[tuple[list[int], list[int], float]]:
    """(question and blocks, readout, weight) of every readout, faded ones too; steps keep a weight where one is given.

    There are as many blocks in refinement as the longest example has steps.
    """
    special, blocks = prepared.backbone.special, prepared.config.memory.blocks
    block = [special.open, special.memory, special.memory, special.close]
    question, answer = example.question.tolist(), example.answer.tolist()
    steps = len(example.steps)
    if updates >= SWITCH:
        for k in range(1, blocks + 1):
            yield question + block * k, answer, 2 * k / (blocks * (blocks + 1))
        for t in range(1, steps if kept else 0):
            yield question + block * t, example.steps[t].tolist(), kept
        return
    for t in range(1, steps):
        fade = min(1.0, max(kept, 1 - (updates / SWITCH) / (t / steps)))
        yield question + block * t, example.steps[t].tolist(), fade
    yield question + block * steps, answer, 1.0


def batch(prepared: Prepared, updates: int) -> list[EncodedExample]:
    """The examples of an update."""
    data = DataModule(prepared.splits, prepared.config, prepared.method.layout, prepared.plan, lambda: 0, 0)
    stage = prepared.plan.at(updates)
    inside = updates - stage.first
    (place,) = data.places(stage.index, range(inside, inside + 1), 0, 1)
    return [prepared.splits.train[row] for row in place.rows]


def test_an_update_whose_readouts_have_all_faded_has_no_gradient(gradient) -> None:
    """Chains of at most 3 steps have faded at 3 / 13 of the stage."""
    found = gradient(GROUNDING, "method.fade=absolute", "method.fade_answer=true", "data.max_steps=13")
    assert not any(value.any() for value in found.values())


def test_curve_has_the_mean_loss_and_its_parts(straight: Path, prepared: Prepared) -> None:
    """The first line of a real run against the plain definition, at the weights that the seed gives."""
    from tests.runs import curve

    backbone = prepared.backbone
    sums: dict[str, list[float]] = {}
    total = count = 0.0
    with torch.no_grad():
        for example in batch(prepared, 0):
            for text, ids, weight in readings(prepared, example, 0):
                targets = torch.tensor([*ids, backbone.special.end])
                logits = backbone.model(input_ids=torch.tensor([[*text, *ids]])).logits[0, -len(targets) :]
                losses = cross_entropy(logits, targets, reduction="none")
                sums.setdefault(str((len(text) - len(example.question)) // 4), []).extend(losses.tolist())
                total, count = total + weight * losses.mean().item(), count + weight
    first = curve(straight)[0]
    assert first["loss"] == pytest.approx(total / count, rel=1e-5)
    assert first["loss_by_readout"] == pytest.approx({k: sum(v) / len(v) for k, v in sums.items()}, rel=1e-5)


def test_places_deal_every_row_of_an_epoch_out_once(prepared: Prepared) -> None:
    """Whatever the number of processes, an update has the same rows, and 60 rows make 7.5 updates."""
    data = DataModule(prepared.splits, prepared.config, prepared.method.layout, prepared.plan, lambda: 0, 0)
    alone = list(data.places(0, range(15), 0, 1))
    assert [place.update for place in alone] == list(range(15))
    for processes in (2, 3, 8):
        parts = [list(data.places(0, range(15), rank, processes)) for rank in range(processes)]
        assert [sorted(row for part in parts for row in part[u].rows) for u in range(15)] == [
            sorted(place.rows) for place in alone
        ]
    assert sorted(row for place in alone for row in place.rows) == sorted([*range(60), *range(60)])
    later = list(data.places(0, range(9, 12), 0, 1))
    assert later == [place for place in alone if 9 <= place.update < 12]
    assert list(data.places(1, range(15), 0, 1)) != alone


@pytest.mark.parametrize(("rows", "processes"), [(128, 2), (128, 7), (9, 4), (4, 4)])
def test_processes_have_as_much_to_read(rows: int, processes: int) -> None:
    """Each has a row at least, and none more than the longest row more than another."""
    lengths = np.random.default_rng(0).integers(20, 200, rows)
    parts = [dealt(lengths, rank, processes) for rank in range(processes)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(rows)) and min(map(len, parts)) >= 1
    tokens = [int(lengths[part].sum()) for part in parts]
    assert max(tokens) - min(tokens) <= lengths.max()
