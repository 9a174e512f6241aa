"""Stepwise internalisation against its paper (arXiv 2405.14838): schedule, random offset, text and resets."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.core.optimizer import LightningOptimizer

from rim.backbone.backbone import Backbone
from rim.base.tree import Kind
from rim.data.encode import EncodedExample
from rim.methods.icot import Internalised
from rim.methods.registry import build_method
from rim.settings import Stage
from rim.settings.progress import Progress
from rim.training.module import RimModule
from tests.models import at, config, example, tiny_backbone
from tests.numerics import literal
from tests.numerics.literal import EXAMPLES
from tests.runs import tiny
from tests.swift import fit

BACKBONE = tiny_backbone()
LONG = example(4, (6,) * 10)
"""A chain of 70 tokens: ten steps of six, and a line feed after each."""
REMOVAL = Stage("removal", "removal")


def made(backbone: Backbone = BACKBONE, seed: int = 0, **changes: object) -> Internalised:
    settings = config("icot")
    settings.run.seed = seed
    for name, value in changes.items():
        setattr(settings.method, name, value)
    method = build_method(settings, backbone.tokenizer)
    assert isinstance(method, Internalised)
    return method


def progress(epochs: float, update: int = 0, length: int = 1000) -> Progress:
    return Progress(REMOVAL, update, length, epochs)


def left(method: Internalised, of: EncodedExample, when: Progress) -> list[int]:
    """What the tree still holds of the chain."""
    nodes = method.layout(of, when).nodes
    return [int(token) for node in nodes if node.kind == Kind.STEP for token in node.ids]


def whole(backbone: Backbone, of: EncodedExample) -> list[int]:
    """The chain without mark and answer."""
    return literal.chain(backbone, of)[: -len(literal.spelt(backbone, "#### ")) - len(of.answer) - 1]


@pytest.mark.parametrize(
    ("epochs", "removed"),
    [
        (0, 0), (0.12, 0), (0.125, 1), (0.5, 4), (0.99, 7), (1, 8), (2.5, 20), (4.75, 38), (4.87, 38),
        (4.875, 70), (5, 70), (20, 70),  # "remove all CoT tokens when 39 or more tokens are scheduled to be removed"
    ],
)  # fmt: skip
def test_eight_tokens_go_in_an_epoch_and_all_of_them_from_39_on(epochs: float, removed: int) -> None:
    chain = whole(BACKBONE, LONG)
    assert len(chain) == 70
    assert left(made(removal_smoothing=0.0), LONG, progress(epochs)) == chain[removed:]


def test_the_schedule_is_the_one_of_a_counter_of_updates() -> None:
    """The authors' loop: a counter of updates; one more token whenever it has come to an epoch's eighth."""
    method, epoch, removed, counter = made(), 80, 0, 0
    for update in range(6 * epoch):
        if counter == epoch // 8:
            removed, counter = removed + 1, 0
        counter += 1
        assert method.level(progress(update / epoch, update)) == min(removed, 39)


@pytest.mark.parametrize(("update", "removed"), [(0, 0), (1, 0), (25, 1), (500, 20), (974, 38), (975, 70), (999, 70)])
def test_without_a_speed_the_limit_is_reached_evenly_at_the_stages_end(update: int, removed: int) -> None:
    method = made(removed_per_epoch=None, removal_smoothing=0.0)
    assert left(method, LONG, progress(100.0, update)) == whole(BACKBONE, LONG)[removed:]


@pytest.mark.parametrize("smoothing", [4.0, 0.7])
def test_the_offset_is_geometric(smoothing: float) -> None:
    """P(k) proportional to exp(-λ k): chi-square over 8,000 draws, as many per update as it has examples."""
    method, chain = made(removal_smoothing=smoothing), len(whole(BACKBONE, LONG))
    parts = LONG.question, LONG.steps, LONG.answer
    examples = [EncodedExample(f"test/{number}", *parts, "7", "") for number in range(40)]
    draws = [chain - len(left(method, of, progress(0.5, update))) - 4 for update in range(200) for of in examples]
    found, expected = Counter(draws), [(1 - math.exp(-smoothing)) * math.exp(-smoothing * k) for k in range(30)]
    bins = [(found[k], p * len(draws)) for k, p in enumerate(expected) if p * len(draws) >= 5]
    assert min(draws) == 0 and len(bins) > 1
    square = sum((number - wanted) ** 2 / wanted for number, wanted in bins)
    assert square < len(bins) + 3 * math.sqrt(2 * len(bins))


def test_the_offset_depends_on_seed_update_and_example_alone() -> None:
    def draws(seed: int = 0, first: int = 0, name: str = "test/0") -> list[int]:
        method = made(seed=seed, removal_smoothing=0.5)
        of = EncodedExample(name, LONG.question, LONG.steps, LONG.answer, "7", "")
        return [len(left(method, of, progress(0.5, update))) for update in range(first, first + 40)]

    assert draws() == draws()
    assert draws() != draws(seed=1) and draws() != draws(first=1000) and draws() != draws(name="test/1")
    assert draws()[1:] == draws(first=1)[:-1]


def test_the_first_and_last_stage_know_no_offset() -> None:
    method = made(removal_smoothing=0.01)
    for objective, chain in (("chain", whole(BACKBONE, LONG)), ("answer", [])):
        assert all(left(method, LONG, at(objective, progress)) == chain for progress in np.linspace(0, 0.99, 20))


@pytest.mark.parametrize(("epochs", "removed"), [(0, 0), (0.5, 4), (1, 8), (5, 99)])
def test_losses_are_those_of_plain_text_without_the_first_tokens(epochs: float, removed: int) -> None:
    backbone = literal.exact()
    found = literal.train(made(backbone, removal_smoothing=0.0), backbone, progress(epochs))
    rest = [whole(backbone, of)[removed:] + literal.chain(backbone, of)[len(whole(backbone, of)) :] for of in EXAMPLES]
    wanted = [
        literal.text_nll(backbone, literal.embed(backbone, of.question), text)
        for of, text in zip(EXAMPLES, rest, strict=True)
    ]
    for row, nll_T in enumerate(wanted):
        assert torch.allclose(found.nll(row).double(), nll_T, atol=1e-5, rtol=0)
    loss = torch.stack([nll_T.mean() for nll_T in wanted]).mean()
    literal.assert_same(found.gradients, literal.gradients(backbone, loss))


@pytest.mark.parametrize(
    ("reset", "steps"),
    [  # 7.5 updates are an epoch, so at 3 tokens an epoch the schedule is 0 0 0 1 1 2 2 2 2 2
        ("true", [1, 2, 1, 2, 3, 1, 2, 1, 2, 3, 4, 5, 1, 2]),
        ("false", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2]),
    ],
)
def test_the_optimiser_is_reset_at_every_removal(tmp_path: Path, reset: str, steps: list[int]) -> None:
    """Steps that the optimiser's state has seen, after every update of a run of three stages."""
    seen, step = [], RimModule.step

    def watch(module: RimModule, optimizer: LightningOptimizer) -> None:
        step(module, optimizer)
        state = optimizer.optimizer.state
        (count,) = {int(each["step"]) for each in state.values()}
        seen.append(count)

    durations = [f"stages.{stage}.duration={length} steps" for stage, length in enumerate((2, 10, 2))]
    limits = ["method.removed_per_epoch=3", "method.removal_limit=2", "training.validate_every=100%"]
    run = ["method.name=icot", f"stages.1.reset_optimizer={reset}", "evaluation.controls=[]"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RimModule, "step", watch)
        assert fit(tiny(tmp_path, *run, *durations, *limits)) == 0
    assert seen == steps
