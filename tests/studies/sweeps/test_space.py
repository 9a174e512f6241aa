"""Axes and points: what a space means, where runs lie, and what is refused before any work."""

import math
from pathlib import Path
from typing import Any

import pytest

from rim.base.errors import SettingsError
from rim.settings.load import load
from rim.studies.sweeps.axes import Range, read_axes
from rim.studies.sweeps.settings import Sweep
from rim.studies.sweeps.space import Part, check_points, make_parts, short_names, spread

RATE = "stages.*.learning_rate"


def sweep(space: dict[str, Any], **more: Any) -> Sweep:
    return Sweep(name="s", space=space, **more)


def part(space: dict[str, Any], **more: Any) -> Part:
    return make_parts(sweep(space, **more))[-1]


def test_a_grid_has_every_combination_and_the_first_axis_moves_slowest() -> None:
    found = part(
        {"memory.blocks": [1, 2], "method.fade": ["none", "absolute"], "both": {"a b": [], "c": ["data.max_steps=5"]}}
    )
    names = [found.name(point) for point in found.queue]
    assert names[:3] == ["blocks-1_fade-none_both-a_b", "blocks-1_fade-none_both-c", "blocks-1_fade-absolute_both-a_b"]
    assert len(names) == found.points == 8 == len({*names})
    assert found.values(found.queue[1]) == {"memory.blocks": 1, "method.fade": "none", "both": "c"}
    run = found.runs(found.queue[1])[0]
    assert run.overrides == ("memory.blocks=1", "method.fade=none", "data.max_steps=5")
    config = run.config()
    assert (config.memory.blocks, config.method.fade, config.data.max_steps) == (1, "none", 5)
    assert (config.run.folder, config.run.name, config.run.seed) == ("runs", f"s/{names[1]}/seed-0", 0)
    assert run.folder == Path("runs/s") / names[1] / "seed-0"


def test_baselines_are_a_part_of_their_own_and_come_first() -> None:
    baselines, main = make_parts(
        sweep({"memory.blocks": [1]}, baselines={"direct": ["method.name=direct"]}, seeds=[3, 4])
    )
    assert (baselines.study_name, main.study_name) == ("s/baselines", "s")
    assert [run.name for run in baselines.runs(baselines.queue[0])] == [
        "baselines/direct/seed-3",
        "baselines/direct/seed-4",
    ]
    assert baselines.runs(baselines.queue[0])[0].config().method.name == "direct"


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("memory.blocks", [1, 4]),
        ("training.clip", [0.5, 1e-05]),
        ("memory.readout_sees_question", [True, False]),
        ("backbone.name", ["null", "'quoted'", "a b", "two\nlines"]),
        ("data.train_rows", [None, 10]),
        ("data.test", [["tracking/test"], ["tracking/test", "tracking/ood"]]),
        ("evaluation.blocks", [[], [1, 2]]),
        (RATE, [1e-3, 2e-4]),
    ],
)
def test_every_kind_of_value_reaches_the_settings_as_it_was_written(path: str, values: list[Any]) -> None:
    (axis,) = read_axes(sweep({path: values}))
    for value, parameter in zip(values, axis.corners(), strict=True):
        config = load([], axis.overrides_of(parameter))
        node: Any = config
        for name in path.replace("*", "0").split("."):
            node = node[int(name)] if name.isdecimal() else getattr(node, name)
        assert node == value and axis.value(parameter) == value
        assert parameter is None or isinstance(parameter, int | float | str), "what Optuna can store"


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["memory.blocks", RATE], ["blocks", "learning_rate"]),
        (["memory.blocks", "evaluation.blocks"], ["memory.blocks", "evaluation.blocks"]),
        (["stages.0.learning_rate", "stages.1.learning_rate"], ["0.learning_rate", "1.learning_rate"]),
        (["data.tracking.seed", "data.arithmetic.seed", "seed"], ["tracking.seed", "arithmetic.seed", "seed"]),
    ],
)
def test_axes_are_called_by_their_shortest_ends(paths: list[str], names: list[str]) -> None:
    assert [*short_names(paths).values()] == names


def test_a_long_name_is_cut_and_stays_different() -> None:
    long = part({f"variant{n}": {"x" * 60: [], "y": [f"stages.{n}.x={n}"]} for n in range(4)})
    names = {long.name(point) for point in long.queue}
    assert len(names) == 16 and max(map(len, names)) <= 150


def test_random_points_are_the_same_ones_again_and_more_begin_with_them() -> None:
    space = {
        "memory.blocks": {"low": 1, "high": 64, "log": True}, RATE: {"low": 1e-5, "high": 1e-3, "log": True},
        "training.clip": {"low": 0.1, "high": 0.4, "step": 0.1}, "method.fade": ["none", "relative"],
        "data.max_steps": {"low": 2, "high": 10, "step": 4},
    }  # fmt: skip
    few, many = (part(space, sampler="random", trials=count).queue for count in (20, 400))
    assert many[:20] == few and len({repr(point) for point in many}) == 400
    assert {point["training.clip"] for point in many} == {0.1, 0.2, 0.3, 0.4}
    assert {point["data.max_steps"] for point in many} == {2, 6, 10}
    blocks = [point["memory.blocks"] for point in many]
    assert all(isinstance(value, int) and 1 <= value <= 64 for value in blocks) and {1, 2, 64} <= {*blocks}
    assert 0.4 < sum(value <= 8 for value in blocks) / 400 < 0.7, "log(8.5/0.5) / log(64.5/0.5) = 0.58"
    rates = [math.log10(point[RATE]) for point in many]
    assert min(rates) >= -5 and max(rates) <= -3 and abs(sum(rates) / 400 + 4) < 0.1


def test_all_points_of_a_small_space_can_be_drawn() -> None:
    space = {"memory.blocks": {"low": 1, "high": 3}, "method.fade": ["none", "relative"]}
    assert len(part(space, sampler="random", trials=6).queue) == 6
    with pytest.raises(SettingsError, match=r"trials = 7: the space has 6 points; sampler=grid sweeps them all"):
        part(space, sampler="random", trials=7)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "space is empty: a sweep needs an axis, such as `memory.blocks: [1, 2, 4]`"),
        ({"memory.blcks": [1]}, "space.memory.blcks: memory.blcks = \"1\": there is no such setting; did you mean"),
        ({"blocks": [1]}, "there is no such setting; did you mean 'memory.blocks' or 'evaluation.blocks'?"),
        ({"curriculum": [1]}, "variants are written `NAME: {first: [key=value], second: []}`"),
        ({"memory": {"blocks": [1]}}, "memory is a section, and an axis is one setting, such as `memory.bl"),
        ({"memory.blocks": []}, "space.memory.blocks = []: an axis needs a value, and two to say anything"),
        ({"memory.blocks": 4}, "space.memory.blocks = 4: an axis is a list of values, [1, 2], or a range, {low:"),
        ({"memory.blocks": [1, "a"]}, 'space.memory.blocks[1] = "a": allowed is a whole number'),
        ({"backbone.name": [1]}, "space.backbone.name[0] = 1: allowed is text"),
        ({"method.name": ["direct", "memory_block"]}, "did you mean 'memory_blocks'?"),
        ({"data.test": ["tracking/test"]}, "allowed is a list of texts: [..., ...]"),
        ({"memory.blocks": [1, 2, 1]}, "space.memory.blocks: 1 stands there 2 times; once will do"),
        ({"training.clip": [1, 1.0]}, "space.training.clip: 1 and 1.0 name one folder, '1'; rename one"),
        ({"x": {"a b": [], "a/b": []}}, 'space.x: "a b" and "a/b" name one folder, \'a_b\'; rename one'),
        ({"x": {"..": []}}, 'space.x: ".." names no folder: it needs a letter or digit'),
        ({"x": {}}, "space.x = {}: an axis needs a variant, and two to say anything"),
        ({"x": {"a": "memory.blocks=4"}}, 'space.x.a = "memory.blocks=4": a variant is a list of overrides'),
        ({"run.seed": [1, 2]}, "space.run.seed: run.seed is the sweep's to set: from name, folder and seeds"),
        ({"x": {"a": ["run.name=b"]}}, "space.x.a: 'run.name=b' is the sweep's to set"),
        ({"memory.blocks": [1], "x": {"a": ["memory.blocks=4"]}}, "space.x sets memory.blocks, which space.memory.blo"),
        ({"stages.0.learning_rate": [1], RATE: [2]}, f"sets {RATE}, which space.stages.0.learning_rate sets, too"),
        ({"memory.blocks": {"low": 1, "high": 8}}, "a range belongs to samplers tpe and random; a grid needs"),
    ],
)  # fmt: skip
def test_spaces_that_are_refused(space: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_axes(sweep(space))
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("path", "bounds", "message"),
    [
        ("memory.blocks", {"low": 8, "high": 8}, "space.memory.blocks: low = 8 must be below high = 8"),
        ("memory.blocks", {"low": 1.5, "high": 8}, "space.memory.blocks.low = 1.5: allowed is a whole number"),
        ("memory.blocks", {"low": 1}, "space.memory.blocks.high = null: allowed is a whole number"),
        ("memory.blocks", {"low": 1, "high": 8, "step": 3}, "step = 3: must be above 0 and lead from 1 to 8"),
        ("memory.blocks", {"low": 1, "high": 8, "step": 0}, "step = 0: must be above 0"),
        ("memory.blocks", {"low": 1, "high": 8, "setp": 1}, "setp: there is no such setting; did you mean 'step'?"),
        ("training.clip", {"low": 0, "high": 1, "log": True}, "clip.low = 0: must be above 0 on a log scale"),
        ("training.clip", {"low": 1, "high": 2, "log": True, "step": 1}, "steps and a log scale exclude each other"),
        ("training.clip", {"low": 0, "high": float("inf")}, "low = 0 must be below high = inf"),
        ("method.name", {"low": 0, "high": 1}, "a range is for numbers, and method.name is one of memory_blocks"),
        ("memory.readout_sees_question", {"low": 0, "high": 1}, "is true or false: list its values"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_ranges_that_are_refused(sampler: Any, path: str, bounds: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_axes(sweep({path: bounds}, sampler=sampler, trials=2))
    assert message in str(error.value)


def test_a_range_is_read() -> None:
    found = read_axes(sweep({"data.train_rows": {"low": 10, "high": 90, "step": 20}}, sampler="tpe", trials=2))
    assert found == (Range("data.train_rows", 10, 90, False, 20, True),) and found[0].size == 5


def test_everything_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(SettingsError) as error:
        read_axes(sweep({"memory.blocks": [], "training.clip": ["x"]}, overrides=["run.seed=4"]))
    assert str(error.value).count("\n") == 2 and "overrides: 'run.seed=4' is the sweep's to set" in str(error.value)


def refused(space: dict[str, Any], **more: Any) -> str:
    with pytest.raises(SettingsError) as error:
        check_points(make_parts(sweep(space, **more)))
    return str(error.value)


def test_points_that_no_run_accepts_are_named() -> None:
    space = {"backbone.scratch.layers": [2, 4], "memory.insertion_layer": [0, 2, 3]}
    text = refused(space, overrides=["backbone.source=scratch"])
    assert text.count("\n") == 1 and "point layers-2_insertion_layer-2: override 'memory.insertion_layer=2'" in text
    assert "must be at most 1: backbone.scratch.layers = 2" in text
    assert "point baselines/x (and 1 more): x.yaml: no such file" in refused(
        {"memory.blocks": [1]}, base=["x.yaml"], baselines={"x": []}
    )
    assert "point blocks-0 (and 1 more)" not in refused({"memory.blocks": [0], "training.clip": [1, 2]})
    assert "point blocks-0_clip-1 (and 1 more): override" in refused({"memory.blocks": [0], "training.clip": [1, 2]})


def test_the_corners_of_what_tpe_draws_from_are_checked() -> None:
    space = {"memory.insertion_layer": {"low": 0, "high": 8}}
    text = refused(space, sampler="tpe", trials=2, overrides=["backbone.source=scratch"])
    assert text.startswith("point insertion_layer-8: override 'memory.insertion_layer=8'")


def test_variants_without_a_difference_are_refused() -> None:
    assert refused({"x": {"a": [], "b": []}}) == "point x-b: has the same settings as x-a: leave one out"


def test_a_metric_that_runs_do_not_have_is_refused() -> None:
    text = refused({"memory.blocks": [1, 2]}, metric="tracking/tst")
    assert (
        "point blocks-1 (and 1 more): metric = 'tracking/tst': the runs have no such score; did you mean 'tracking/t"
        in text
    )


@pytest.mark.parametrize(("length", "most", "chosen"), [(3, 6, [0, 1, 2]), (12, 4, [0, 4, 7, 11]), (2, 2, [0, 1])])
def test_points_are_spread_over_the_space(length: int, most: int, chosen: list[int]) -> None:
    assert spread(range(length), most) == chosen
