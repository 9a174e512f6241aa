"""From finished runs to tables, CSV, JSON and events, with numbers that are known beforehand."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from rim.report.statistics import estimate, paired_difference
from rim.studies.comparison.collect import FinishedRun, collect
from rim.studies.comparison.publish import publish
from rim.studies.comparison.sameness import ComparisonError
from rim.studies.comparison.summary import Summary, summarise
from rim.studies.comparison.tables import budget_tables, csv_text, footer, main_tables
from tests.studies.comparison.fakes import ENVIRONMENT, LATENCY, fake_run

STEPS = [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def rows(*marks: str) -> list[list[bool]]:
    """For each example a row of marks, one for each text: `x` is right."""
    return [[mark[n] == "x" for mark in marks] for n in range(len(marks[0]))]


@pytest.fixture
def runs(tmp_path: Path) -> list[FinishedRun]:
    """Two seeds without blocks, and one seed with two."""
    direct = [
        fake_run(tmp_path / f"direct-{n}", {"tracking/test": rows(text)}, f"run.seed={n}", steps=STEPS, latency=latency)
        for n, (text, latency) in enumerate([("xx........", LATENCY), ("xxxx......", None)])
    ]
    blocks = fake_run(
        tmp_path / "blocks", {"tracking/test": rows("..xx......", "xxxxxxx..x")}, steps=STEPS,
        controls={"removed": rows("x........."), "swapped": rows("..........", "xxx.......")},
        training={"updates": 1234, "seconds": 3661.4, "flops": 1.25e12, "flops_before": 5e11},
    )  # fmt: skip
    found = [collect(folder, "updates", "direct") for folder in direct]
    found = [replace(run, latency=LATENCY if run.seed == 0 else {}) for run in found]
    return [*found, replace(collect(blocks, "updates", "blocks"), latency=LATENCY)]


@pytest.fixture
def summary(runs: list[FinishedRun]) -> Summary:
    return summarise("x", runs, "direct")


def cells(table: str) -> dict[str, list[str]]:
    """First column → the other cells, of all rows but the rule."""
    lines = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.split("\n") if line[:1] == "|"]
    return {row[0]: row[1:] for row in lines if not row[0].startswith("-")}


def tables(summary: Summary) -> dict[str, dict[str, list[str]]]:
    return {title: cells(text) for title, text in budget_tables(summary, "updates")}


def test_accuracy_and_paired_difference(summary: Summary) -> None:
    found = tables(summary)["tracking/test: accuracy on 10 examples"]
    direct = np.array([[n < 2 for n in range(10)], [n < 4 for n in range(10)]])
    blocks = np.array([[n < 7 or n == 9 for n in range(10)]])
    own, other, gap = estimate(direct), estimate(blocks), paired_difference(blocks, direct)
    assert found["direct"] == ["2", "0.300", f"{own.low:.3f} to {own.high:.3f}", "—", "—", "—"]
    assert found["blocks"] == [
        "1", "0.800", f"{other.low:.3f} to {other.high:.3f}",
        "+0.500", f"{gap.low:+.3f} to {gap.high:+.3f}", f"{gap.p:.2g}",
    ]  # fmt: skip
    assert found["entry"] == [
        "seeds", "accuracy", "95 % interval", "minus direct", "95 % interval, paired", "p",
    ]  # fmt: skip


def test_accuracy_by_number_of_steps_goes_on_in_a_further_table(summary: Summary) -> None:
    text = dict(budget_tables(summary, "updates"))["tracking/test: accuracy by number of reasoning steps"]
    first, second = (cells(part) for part in text.split("\n\n"))
    assert first["entry"] == ["1 step", "2 steps", "3 steps", "4 steps"] and second["entry"] == ["5 steps"]
    values = [cell.partition(" ")[0] for cell in first["direct"] + second["direct"]]
    assert values == ["1.000", "0.500", "0.000", "0.000", "0.000"]
    assert [cell.partition(" ")[0] for cell in second["blocks"]] == ["0.500"]
    assert first["direct"][0] == "1.000 (0.342 to 1.000)", "Wilson's interval of two examples"


def test_a_column_of_steps_has_the_same_examples_of_every_entry(runs: list[FinishedRun], tmp_path: Path) -> None:
    """Steps in another form may be more or fewer: those of the first run say which examples stand together."""
    marks = {"tracking/test": rows("xx......xx")}
    other = fake_run(tmp_path / "s", marks, "data.steps=sentences", steps=[7, 7, *STEPS[2:8], 1, 1])
    found = summarise("x", [*runs, collect(other, "updates", "other")], "direct")
    text = dict(budget_tables(found, "updates"))["tracking/test: accuracy by number of reasoning steps"]
    first, second = (cells(part) for part in text.split("\n\n"))
    values = [cell.partition(" ")[0] for cell in first["other"] + second["other"]]
    assert values == ["1.000", "0.000", "0.000", "0.000", "1.000"]


def test_controls_and_the_oracle(summary: Summary) -> None:
    found = tables(summary)["tracking/test: controls and any block"]
    assert found["entry"] == ["as trained", "blocks removed", "blocks swapped", "any block (oracle)"]
    assert found["blocks"] == ["0.800", "0.100", "0.300", "0.800"]
    assert found["direct"] == ["0.300", "—", "—", "—"]


def test_a_control_that_a_seed_was_not_scored_under_is_left_out(runs: list[FinishedRun], tmp_path: Path) -> None:
    controls = {"zero": rows("xx........"), "removed": rows("xxx.......")}
    other = fake_run(tmp_path / "again", {"tracking/test": rows(*["xxxxxxxx.."] * 2)}, controls=controls, steps=STEPS)
    for members in ([runs[2], collect(other, "updates", "blocks")], [collect(other, "updates", "blocks"), runs[2]]):
        found = tables(summarise("x", [*runs[:2], *members], "direct"))["tracking/test: controls and any block"]
        assert found["entry"] == ["as trained", "blocks removed", "any block (oracle)"]
        assert found["blocks"][1] == "0.200"


def test_cost(summary: Summary) -> None:
    text = dict(budget_tables(summary, "updates"))["Cost of training and of answering"]
    training, answering = (cells(part) for part in text.split("\n\n")[:2])
    assert training["direct"] == ["100", "2.50e+09", "—", "12"]
    assert training["blocks"] == ["1,234", "1.25e+12", "5.00e+11", "3,661"]
    assert answering["direct"] == answering["blocks"] == ["3.0", "42", "4.0 (3.0 to 5.0)", "8.0 (7.0 to 9.5)", "3.0"]
    assert "to its end: 32 questions of tracking/test, 1 at a time, 3 times each, on cpu with 1 thread(s)" in text
    assert "thread(s), decoding plain; mean" in text, "what was measured before ways had names"


def test_latencies_that_were_not_measured_alike_say_so(runs: list[FinishedRun]) -> None:
    elsewhere = replace(runs[2], latency=LATENCY | {"device": "NVIDIA H100", "threads": 4})
    text = dict(budget_tables(summarise("x", [*runs[:2], elsewhere], "direct"), "updates"))
    asked = "32 questions of tracking/test, 1 at a time, 3 times each, on"
    assert (
        f"to its end: **not measured alike, so it does not compare:** of direct {asked} cpu with 1 "
        f"thread(s), decoding plain; of blocks {asked} NVIDIA H100 with 4 thread(s), decoding plain; mean"
    ) in text["Cost of training and of answering"]


def test_what_is_not_known_is_left_open(runs: list[FinishedRun]) -> None:
    bare = [replace(run, latency={}, training={"updates": 5, "seconds": 1.0, "flops_before": None}) for run in runs]
    found = tables(summarise("x", bare, "direct"))["Cost of training and of answering"]
    assert found["direct"] == ["5", "unknown", "unknown", "1"]
    some = [replace(run, latency=LATENCY if run.entry == "blocks" else {}) for run in runs]
    found = tables(summarise("x", some, "direct"))["Cost of training and of answering"]
    assert found["direct"] == ["—", "—", "—", "—", "—"] and found["blocks"][0] == "3.0"


def test_differences_are_within_a_budget(runs: list[FinishedRun]) -> None:
    apart = [*runs[:2], replace(runs[2], budget="flops")]
    found = summarise("x", apart, "direct")
    assert found.budgets == ["updates", "flops"] and [entry.entry for entry in found.of("flops")] == ["blocks"]
    assert found.of("flops")[0].tests["tracking/test"].difference is None


def test_csv_has_a_line_for_each_run(runs: list[FinishedRun]) -> None:
    first, second, third = csv.DictReader(io.StringIO(csv_text(runs)))
    assert [(row["entry"], row["seed"], row["tracking/test accuracy"]) for row in (first, second, third)] == [
        ("direct", "0", "0.2"), ("direct", "1", "0.4"), ("blocks", "0", "0.8"),
    ]  # fmt: skip
    assert (third["tracking/test blocks removed"], first["tracking/test blocks removed"]) == ("0.1", "")
    assert (third["tracking/test any block"], first["tracking/test any block"]) == ("0.8", "")
    assert (first["full_ms p90"], second["full_ms p90"], third["flops_before"]) == ("9.5", "", "500000000000.0")
    assert (third["tracking/test 5 steps"], third["commit"]) == ("0.5", "0123456789abcdef")


def test_the_footer_tells_what_the_numbers_hang_on(runs: list[FinishedRun]) -> None:
    text = footer(runs, 0.95)
    assert text.startswith(
        "Commit 0123456789ab; seeds 0, 1; Slow CPU, 2 cores, 1 thread(s) a run; python 3.11.7, torch 2.13.0, "
        "transformers 5.23.0, lightning 2.6.6, rim 0.1.0.\n95 % intervals: bootstrap of 2,000 resamples over seeds and "
        "examples; of entries with one seed over examples alone (Wilson's where"
    )
    assert "**" not in text
    assert "over examples alone: one seed says nothing about other seeds" in footer(runs[1:], 0.9)


@pytest.mark.parametrize(
    ("change", "part", "warning"),
    [
        (
            {"git": {"commit": "f" * 40, "dirty": True}},
            "Commit 0123456789ab and ffffffffffff with uncommitted changes; seeds",
            "**Runs were made by different commits: a difference may be the code's.**",
        ),
        ({"git": None}, "and unknown (not a checkout)", "**Runs were made by different commits"),
        (
            {"hardware": {"cpu": "Fast", "cores": 8, "gpus": ["H200"]}},
            "Slow CPU, 2 cores and Fast, 8 cores, H200",
            "**Runs were made on different hardware: seconds and milliseconds do not compare.**",
        ),
        (
            {"threads": 2},
            "1 or 2 thread(s) a run",
            "**Runs had different numbers of threads: seconds do not compare.**",
        ),
    ],
)
def test_runs_that_were_made_differently_say_so(runs: list[FinishedRun], change: dict, part: str, warning: str) -> None:
    text = footer([*runs[:2], replace(runs[2], environment={**ENVIRONMENT, **change})], 0.95)
    assert part in text and warning in text and text.count("**") == 2


def test_everything_is_written(runs: list[FinishedRun], tmp_path: Path) -> None:
    folder = tmp_path / "out"
    said = publish("x", folder, runs, "direct", ["Not finished: cot."])
    names = ["table.md", "table.csv", "results.json", "accuracy_latency.png", "accuracy_steps.png"]
    assert [line for line in said.split("\n") if line.startswith("wrote")] == [
        f"wrote {folder / name}" for name in names
    ]
    text = (folder / "table.md").read_text()
    assert text.startswith("# x\n\n## Budget updates\n\n### tracking/test: accuracy on 10 examples\n\n| entry")
    assert (
        text.count("### ")
        == text.count("Commit 0123456789ab; seeds 0, 1;")
        == text.count("**Not finished: cot.**")
        == 4
    )
    record = json.loads((folder / "results.json").read_text())
    assert record["entries"][1]["tests"]["tracking/test"]["accuracy"]["value"] == 0.8
    assert record["entries"][0]["tests"]["tracking/test"]["accuracy"]["per_seed"] == [0.2, 0.4]
    assert record["runs"][2]["right"]["tracking/test"] == {
        "examples": 10, "final": 8, "controls": {"removed": 1, "swapped": 3}, "any_block": 8,
        "by_steps": {"1": "2 of 2", "2": "2 of 2", "3": "2 of 2", "4": "1 of 2", "5": "1 of 2"},
    }  # fmt: skip
    assert record["commits"] == [{"commit": "0123456789abcdef", "dirty": False}] and record["reference"] == "direct"
    assert str(tmp_path) not in json.dumps(record["entries"])


def test_tensorboard_has_tables_and_figures_once(runs: list[FinishedRun], tmp_path: Path) -> None:
    for _ in range(2):
        publish("x", tmp_path / "out", runs, "direct")
    assert len([*(tmp_path / "out" / "tensorboard").iterdir()]) == 1
    events = EventAccumulator(str(tmp_path / "out" / "tensorboard"))
    events.Reload()
    assert sorted(events.Tags()["images"]) == ["comparison/accuracy_latency", "comparison/accuracy_steps"]
    assert len(events.Tags()["tensors"]) == 4


def test_what_a_terminal_shows(summary: Summary) -> None:
    text = main_tables(summary)
    assert text.startswith("tracking/test, budget updates\n\n| entry") and "by number" not in text


def test_predictions_on_other_examples_are_refused(runs: list[FinishedRun], tmp_path: Path) -> None:
    other = collect(fake_run(tmp_path / "o", {"tracking/test": rows("xx.")}), "updates", "other")
    with pytest.raises(ComparisonError, match=r"tracking/test: '.*direct-0' answered 10 examples, '.*/o' 3, and"):
        summarise("x", [*runs, other], "direct")
