"""Durations become updates; every update belongs to one segment; the learning rate is a table."""

import itertools
import math

import pytest

from rim.settings import Stage, Training
from rim.training.header import peak_rate
from rim.training.plan import Plan, make_plan


def plan(*durations: str, rows: int = 100, size: int = 8, whole: str | None = None, every: str = "5 steps") -> Plan:
    stages = [Stage(f"s{index}", "grounding", duration=text) for index, text in enumerate(durations)]
    return make_plan(stages, Training(duration=whole, batch_size=size, validate_every=every, save_every="30%"), rows)


@pytest.mark.parametrize(
    ("duration", "updates"),
    [
        ("12 steps", 12),
        ("1 step", 1),
        ("96 examples", 12),
        ("97 examples", 13),
        ("1 epoch", 13),
        ("2 epochs", 25),
        ("0.04 epochs", 1),
        ("25%", 50),
        ("0.1%", 1),
    ],
)
def test_durations_become_updates(duration: str, updates: int) -> None:
    assert plan(duration, whole="200 steps").stages[0].length == updates


def test_stages_follow_each_other() -> None:
    made = plan("12 steps", "1 epoch", "80 examples")
    assert [(stage.first, stage.length, stage.last) for stage in made.stages] == [
        (0, 12, 12),
        (12, 13, 25),
        (25, 10, 35),
    ]
    assert made.length == 35
    assert [made.at(update).index for update in (0, 11, 12, 24, 25, 34, 35, 99)] == [0, 0, 1, 1, 2, 2, 2, 2]


def test_distances_are_of_the_stage_and_at_least_one_update() -> None:
    made = plan("20 steps", "2 steps", every="10%")
    assert [(stage.validate_every, stage.save_every) for stage in made.stages] == [(2, 6), (1, 1)]


@pytest.mark.parametrize(
    ("every", "kept"),
    [
        (None, []),
        ("4 steps", [4, 8, 16]),
        ("25%", [3, 6, 9, 14, 16, 18]),
        ("12 steps", []),
        ("0.1%", [*range(1, 12), *range(13, 20)]),
    ],
)
def test_checkpoints_are_kept_within_a_stage_and_not_at_its_end(every: str | None, kept: list[int]) -> None:
    stages = [Stage(str(length), "grounding", duration=f"{length} steps") for length in (12, 8, 1)]
    made = make_plan(stages, Training(keep_every=every), 100)
    assert [done for stage in made.stages for done in range(made.length + 1) if stage.keeps(done)] == kept


@pytest.mark.parametrize("every", ["1 step", "5 steps", "7 steps", "100 steps", "33%"])
def test_segments_cover_every_update_once_wherever_a_run_begins(every: str) -> None:
    made = plan("12 steps", "8 steps", "1 step", every=every)
    for start in range(made.length + 1):
        updates, at, segments = [], start, 0
        while at < made.length:
            stage = made.at(at)
            segment = stage.segment(at)
            assert segment.stop == stage.length or segment.stop % stage.validate_every == 0
            updates += [stage.first + inside for inside in segment]
            at, segments = stage.first + segment.stop, segments + 1
        assert updates == list(range(start, made.length))
        assert segments == made.segments(start)


@pytest.mark.parametrize(
    ("schedule", "warmup", "rates"),
    [
        ("constant", "0 steps", [1, 1, 1, 1, 1, 1]),
        ("constant", "2 steps", [1 / 2, 1, 1, 1, 1, 1]),
        ("constant", "50%", [1 / 3, 2 / 3, 1, 1, 1, 1]),
        ("linear", "2 steps", [1 / 2, 1, 1, 3 / 4, 2 / 4, 1 / 4]),
        ("cosine", "2 steps", [1 / 2, 1, *[(1 + math.cos(math.pi * i / 4)) / 2 for i in range(4)]]),
        ("linear", "100%", [1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1]),
    ],
)
def test_learning_rate(schedule: str, warmup: str, rates: list[float]) -> None:
    stage = Stage("s", "grounding", duration="6 steps", learning_rate=3e-3, warmup=warmup, schedule=schedule)  # type: ignore[arg-type]
    made = make_plan([stage], Training(), 100).stages[0]
    assert [made.learning_rate(update) for update in range(6)] == pytest.approx([3e-3 * rate for rate in rates])


@pytest.mark.parametrize(
    ("warmup", "words"),
    [
        ("4 steps", "learning rate 0.003 after 4 of warm-up"),
        ("6 steps", "learning rate 0.003 after 6 of warm-up"),
        ("9 steps", "learning rate up to 0.002 (a warm-up of 9 updates would reach 0.003)"),
    ],
)
def test_a_warm_up_longer_than_its_stage_is_told(warmup: str, words: str) -> None:
    made = make_plan([Stage("s", "grounding", "6 steps", learning_rate=3e-3, warmup=warmup)], Training(), 100).stages[0]
    assert peak_rate(made) == words
    assert f"{max(map(made.learning_rate, range(6))):g}" in words


def test_a_stage_that_sets_no_dropout_keeps_the_last_one() -> None:
    for rates in itertools.product([None, 0.0, 0.2], repeat=3):
        stages = [Stage(f"s{index}", "grounding", dropout=rate) for index, rate in enumerate(rates)]
        made, in_force = make_plan(stages, Training(), 100), None
        for index, rate in enumerate(rates):
            in_force = in_force if rate is None else rate
            assert made.dropout(index) == in_force
