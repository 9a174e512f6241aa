"""Numbers of a sweep: order of points, the best one, means along axes."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rim.report.counts import estimate_counts
from rim.report.proportion import Proportion
from rim.studies.sweeps.collect import _other_rows
from rim.studies.sweeps.outcome import VALIDATION, Axis, Point, SweepResult
from rim.studies.sweeps.publish import record_of
from rim.studies.sweeps.summary import summarise
from rim.studies.sweeps.words import in_words, label_of, text_of
from tests.studies.sweeps.fakes import BLOCKS, LAYER, grid, other_blocks, point, run, search, sweep, variants


def test_a_grid_is_listed_in_its_order_whoever_was_first() -> None:
    result = grid()
    mixed = replace(result, points=tuple(replace(p, number=99 - p.number) for p in reversed(result.points)))
    assert [p.label for p in summarise(mixed).points] == [p.label for p in summarise(result).points]
    assert [p.label for p in summarise(result).points][:4] == [
        "blocks=1, insertion_layer=0", "blocks=1, insertion_layer=2",
        "blocks=1, insertion_layer=4", "blocks=2, insertion_layer=0",
    ]  # fmt: skip


def test_a_search_is_listed_best_first_and_what_has_no_score_last() -> None:
    points = summarise(search()).points
    scores = [p.scores[VALIDATION].value for p in points if p.scores]
    assert scores == sorted(scores, reverse=True) and len(scores) == 18
    assert {p.state for p in points[18:]} == {"pruned", "failed"}


def test_the_best_point_is_chosen_by_the_metric_and_by_nothing_else() -> None:
    axis = Axis("memory.blocks", (1, 2, 4))
    points = [
        Point(0, {axis.name: 1}, "complete", (run(0, {VALIDATION: 0.5, "tracking/test": 0.9}),)),
        Point(1, {axis.name: 2}, "complete", (run(0, {VALIDATION: 0.6, "tracking/test": 0.2}),)),
        Point(2, {axis.name: 4}, "running", (run(0, {VALIDATION: 0.8, "tracking/test": 0.99}),)),
    ]
    best = {metric: summarise(sweep([axis], points, metric=metric)).best for metric in (VALIDATION, "tracking/test")}
    assert [best[m].label for m in best if best[m]] == ["blocks=2", "blocks=1"]
    assert summarise(sweep([axis], points[2:])).best is None


def test_a_point_that_has_not_finished_has_no_scores() -> None:
    unfinished = point(0, {"memory.blocks": 1}, 0.5, state="running")
    found = summarise(sweep([BLOCKS], [unfinished])).points[0]
    assert not found.scores and found.updates is None and len(found.seeds) == 1


def test_means_along_an_axis_are_over_all_points_with_the_value() -> None:
    result = grid()
    whole, *lines = summarise(result).along(LAYER)
    assert [v.value for v in whole.values] == [0, 2, 4] and not whole.fixed
    for value in whole.values:
        runs = [r.scores[VALIDATION] for p in result.points if p.values[LAYER.name] == value.value for r in p.seeds]
        assert value.scores[VALIDATION].value == pytest.approx(np.mean([r.value for r in runs]))
        assert value.scores[VALIDATION] == estimate_counts(runs) and (value.points, value.expected) == (4, 4)
    assert [dict(line.fixed) for line in lines] == [{BLOCKS.name: k} for k in BLOCKS.values]
    first = lines[2].values[1]
    same = next(p for p in summarise(result).points if p.label == "blocks=4, insertion_layer=2")
    assert first.scores == same.scores and first.points == 1


def test_means_along_an_axis_say_how_many_points_are_missing() -> None:
    result = grid()
    gone = replace(result.points[4], state="failed", seeds=())
    short = replace(result, points=(*result.points[:4], gone, *result.points[6:]))
    values = summarise(short).along(BLOCKS)[0].values
    assert [(v.points, v.expected) for v in values] == [(3, 3), (1, 3), (3, 3), (3, 3)]
    assert not [v for line in summarise(short).along(BLOCKS) for v in line.values if v.points == 0 and v.scores]


def test_a_range_has_no_means() -> None:
    summary = summarise(search())
    rate, blocks = summary.result.axes
    assert summary.along(rate) == [] and [dict(line.fixed) for line in summary.along(blocks)] == [{}]


def test_other_numbers_of_blocks_stand_beside_the_trained_one() -> None:
    result = other_blocks()
    first = result.points[0]
    seeds = tuple(replace(r, read_with={"tracking/test": {16: Proportion(60, 600)}}) for r in first.seeds)
    summary = summarise(replace(result, points=(replace(first, seeds=seeds),)))
    found = summary.points[0].read_with
    assert list(found) == ["tracking/test"] and list(found["tracking/test"]) == [2, 16]
    assert found["tracking/test"][2] == summary.points[0].scores["tracking/test"]


def test_costs_are_means_over_seeds_and_unknown_where_one_is() -> None:
    runs = (run(0, {VALIDATION: 0.5}, updates=100, minutes=2.0), run(1, {VALIDATION: 0.5}, updates=300, minutes=5.0))
    points = [
        Point(0, {BLOCKS.name: 1}, "complete", runs),
        Point(1, {BLOCKS.name: 2}, "complete", (replace(runs[0], flops=None), runs[1])),
    ]
    first, second = summarise(sweep([BLOCKS], points)).points
    assert (first.updates, first.minutes, first.flops) == (200, 3.5, 2e12) and second.flops is None


@pytest.mark.parametrize("result", [grid(1), search(), variants(), other_blocks()], ids=lambda r: r.question[:20])
def test_the_record_is_json_with_the_counts_of_every_run(result: SweepResult) -> None:
    record = json.loads(json.dumps(record_of(summarise(result)), allow_nan=False))
    assert len(record["points"]) == len(result.points) and record["best"]
    runs = {p["number"]: [r["scores"][VALIDATION]["correct"] for r in p["runs"]] for p in record["points"]}
    assert runs == {p.number: [r.scores[VALIDATION].correct for r in p.seeds] for p in result.points}
    assert record["baselines"]["direct"]["scores"][VALIDATION]["value"] == pytest.approx(0.43, abs=0.01)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1e-5, "1e-5"), (0.5, "0.5"), (3, "3"), (True, "true"), (None, "null"), ([0.9, 0.95], "[0.9, 0.95]"), ("a", "a")],
)
def test_values_are_written_as_in_files(value: object, text: str) -> None:
    assert text_of(value) == text


def test_axes_are_named_in_words_and_points_by_what_tells_them_apart() -> None:
    first, second = Axis("stages.0.learning_rate"), Axis("stages.1.learning_rate")
    assert in_words(BLOCKS) == "blocks K" and in_words(Axis("training.weight_decay")) == "weight decay"
    assert (
        in_words(Axis("stages.*.learning_rate")) == "learning rate" and in_words(second) == "learning rate of stage 1"
    )
    label = label_of({first.name: 1e-3, second.name: 2e-3, "memory.blocks": 4}, [first, second, BLOCKS])
    assert label.endswith("blocks=4") and "0.learning_rate=0.001" in label and "1.learning_rate=0.002" in label


def test_other_rows_of_a_test_set_are_said() -> None:
    """By the hashes that results name; runs from before there were any say nothing."""

    def found(*rows: dict[str, str | None] | None) -> dict[str, Any]:
        records = [{} if each is None else {"rows": each} for each in rows]
        trials = {n: SimpleNamespace(user_attrs={"seed-0": record}) for n, record in enumerate(records)}
        return {"": SimpleNamespace(standing=trials)}

    assert _other_rows(found({"t": "a"}, {"t": "a"}, None, {"t": None})) == ()
    (note,) = _other_rows(found({"t": "a", "u": "c"}, {"t": "b", "u": "c"}))
    assert note.startswith("Runs have scored different rows of t, or encoded them differently")
