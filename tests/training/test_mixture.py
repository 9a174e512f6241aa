"""A run on a mixture from end to end: accuracy by source, cost by shares, resumed and on two processes as alone."""

import json
import signal
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rim.evaluation.predictions import read_jsonl
from rim.training.cost import Meter
from rim.training.run import fit, prepare_run
from tests.runs import curve, overrides, tiny
from tests.training.children import Strike, fit_on_two
from tests.training.test_two_processes import assert_close

MIXTURE = (
    *("data.train=tracking/train:2 + arithmetic/train:1", "data.test=[tracking/test,arithmetic/test]"),
    *("data.validation=tracking/validation + arithmetic/validation", "data.arithmetic.train_rows=40"),
    *("data.arithmetic.test_rows=12", "data.arithmetic.max_steps=3", "stages.0.duration=6 steps"),
    *("stages.1.duration=4 steps", "stages.1.dropout=0"),
    "training.validate_every=3 steps",  # and no dropout, whose noise depends on the number of processes
)
SOURCES = ("tracking/validation", "arithmetic/validation")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixtures")
    assert fit(tiny(folder, "run.name=alone", *MIXTURE)) == 0
    return folder / "alone"


def test_validation_accuracy_is_told_by_source_and_chosen_by_all_rows(mixed: Path) -> None:
    scored = [record for record in curve(mixed) if "accuracy" in record]
    assert len(scored) == 4
    for record in scored:
        tracking, arithmetic = (record["accuracy_by_source"][source] for source in SOURCES)
        assert record["examples"] == 28
        assert record["accuracy"] == pytest.approx((16 * tracking + 12 * arithmetic) / 28)
    events = EventAccumulator(str(mixed)).Reload()
    for source in SOURCES:
        told = [event.value for event in events.Scalars(f"validation_accuracy_by_source/grounding/{source}")]
        assert told == pytest.approx([record["accuracy_by_source"][source] for record in scored[:2]])
    chosen = json.loads((mixed / "selection.json").read_text())["best"]["refinement"]
    final = max((record for record in scored if record["stage"] == "refinement"), key=lambda each: each["accuracy"])
    assert (chosen["correct"], chosen["count"]) == (round(28 * final["accuracy"]), 28)
    told = scored[[record["update"] for record in scored].index(chosen["update"])]["accuracy_by_source"]
    report = (mixed / "report.md").read_text()
    for source, value in told.items():
        (line,) = [line for line in report.splitlines() if f"validation accuracy, {source}" in line]
        assert line.endswith(f" {value:.3f} |")


def test_every_test_source_has_its_table_and_its_rule(mixed: Path) -> None:
    for source, rule in (("tracking-test", "text"), ("arithmetic-test", "integer")):
        assert json.loads((mixed / "results" / f"{source}.json").read_text())["rule"]["name"] == rule
        assert len(read_jsonl(mixed / "results" / f"{source}.jsonl")) == 8
    train, validation, *tests = json.loads((mixed / "data.json").read_text())
    assert (train["kept"], validation["kept"], len(tests)) == (100, 28, 2)
    assert [part["report"]["source"] for part in train["parts"]] == ["tracking/train", "arithmetic/train"]


def test_the_cost_of_an_example_is_that_of_its_source_by_its_share(mixed: Path) -> None:
    prepared = prepare_run(tiny(mixed.parent, "run.name=alone", *MIXTURE))
    measure = lambda split: Meter(prepared.method, prepared.backbone).stage(split, prepared.plan.stages[0])  # noqa: E731
    train = prepared.splits.train
    first, second = (measure(part) for part in train.parts)  # type: ignore[union-attr]
    assert first != second and measure(train) == pytest.approx((2 * first + second) / 3)
    assert prepared.plan.stages[0].epoch == 100 / 8, "an epoch is as many examples as the sources have rows"


def test_two_processes_that_are_stopped_and_resumed_train_the_same_mixture(mixed: Path, tmp_path: Path) -> None:
    line = overrides(mixed.parent, "run.name=two", *MIXTURE)
    first, second = fit_on_two(tmp_path, line, Strike("training_step", 4, signal.SIGTERM, rank=1))
    assert (first.status, second.status) == (143, 0), first.output + second.output
    ended = fit_on_two(tmp_path, line)
    assert [each.status for each in ended] == [0, 0], ended
    mine, other = ([each | each.pop("accuracy_by_source", {}) for each in curve(at)] for at in (
        mixed.parent / "two", mixed,
    ))  # fmt: skip
    assert_close(mine, other)
    assert sum("arithmetic/validation" in record for record in mine) == 4
