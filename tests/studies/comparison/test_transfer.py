"""Runs that were trained on different tasks: refused unless transfer is asked for, then a table of who knows what.

Axes: S seeds, E examples.
"""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import rim.compare as compare
from rim.report.statistics import estimate
from rim.studies.comparison.collect import collect
from rim.studies.comparison.grouping import collect_named
from rim.studies.comparison.plan import check_plan, plan_runs
from rim.studies.comparison.sameness import ComparisonError
from rim.studies.comparison.settings import Budget, Comparison, Entry
from rim.studies.comparison.summary import summarise
from rim.studies.comparison.tables import budget_tables, csv_text, main_tables
from tests.studies.comparison.fakes import fake_run
from tests.studies.comparison.test_tables import cells, rows

TRACKING = ("data.train=tracking/train", "data.validation=tracking/validation")
ARITHMETIC = ("data.train=arithmetic/train", "data.validation=arithmetic/validation", "data.max_steps=5")
BOTH = ("data.train=tracking/train:1 + arithmetic/train:3", "data.validation=tracking/validation+arithmetic/validation")
TITLE = "Transfer: trained on (rows), tested on (columns)"


def trained(folder: Path, tracking: str, arithmetic: str, *given: str) -> Path:
    """A finished run with these marks on each of two test sets."""
    return fake_run(folder, {"tracking/test": rows(tracking), "arithmetic/test": rows(arithmetic)}, *given)


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    """Two seeds on tracking, one run on arithmetic, one on both."""
    return [
        trained(tmp_path / "tracking" / "seed-0", "xxxxxxxx..", "x.........", *TRACKING),
        trained(tmp_path / "tracking" / "seed-1", "xxxxxxxxx.", "..........", *TRACKING, "run.seed=1"),
        trained(tmp_path / "arithmetic", "xx........", "xxxxxxx...", *ARITHMETIC),
        trained(tmp_path / "both", "xxxxxx....", "xxxxxxxx..", *BOTH),
    ]


def test_checkpoints_chosen_on_other_data_stand_side_by_side_where_it_is_asked_for(folders: list[Path]) -> None:
    with pytest.raises(ComparisonError) as error:
        collect_named(folders)
    assert 'data.validation: "tracking/validation" -> "arithmetic/validation"; data.max_steps: 13 -> 5. A compa' in str(
        error.value
    )
    assert str(error.value).endswith(
        "or compare them apart. To see what one task teaches for another: transfer: true in the file, "
        "--transfer for finished runs"
    )
    names = [run.entry for run in collect_named(folders, transfer=True)]
    assert names == ["tracking", "tracking", "arithmetic", "both"]


def test_other_tests_are_refused_all_the_same(folders: list[Path], tmp_path: Path) -> None:
    other = fake_run(tmp_path / "other", {"tracking/test": rows("x.")}, *ARITHMETIC)
    with pytest.raises(ComparisonError) as error:
        collect_named([*folders, other], transfer=True)
    text = str(error.value)
    assert 'data.test: ["tracking/test", "arithmetic/test"] -> ["tracking/test"]. A comparison' in text
    assert text.endswith("or compare them apart"), "transfer is no way out of that"
    harder = trained(tmp_path / "harder", "x", "x", *ARITHMETIC, "data.arithmetic.max_number=9")
    with pytest.raises(ComparisonError, match=r"data.arithmetic.max_number: 20 -> 9"):
        collect_named([*folders, harder], transfer=True)


def test_a_planned_comparison_asks_for_transfer_by_its_setting(tmp_path: Path) -> None:
    entries = [Entry("a", ["method.name=direct", *TRACKING]), Entry("b", ["method.name=direct", *BOTH])]
    settings = Comparison("x", str(tmp_path), entries=entries, budgets=[Budget("updates", 200)])
    with pytest.raises(ComparisonError, match=r"'a' and 'b' are not on the same data: data.validation: .*--transfer"):
        check_plan(settings, plan_runs(settings))
    settings.transfer = True
    check_plan(settings, plan_runs(settings))


def test_the_table_has_a_row_for_what_was_trained_and_a_column_for_what_was_tested(folders: list[Path]) -> None:
    runs = collect_named([*folders[:1], *folders[2:], folders[1]], transfer=True)
    summary = summarise("x", runs, "tracking")
    table = cells(dict(budget_tables(summary, ""))[TITLE])
    assert table["trained on"] == ["entry", "tracking/test", "arithmetic/test"]
    assert list(table) == ["trained on", "tracking/train", "arithmetic/train", "tracking/train:1 + arithmetic/train:3"]
    tests = {entry.entry: entry.tests for entry in summary.entries}
    for name, row, bold in (
        ("tracking", "tracking/train", (True, False)),
        ("arithmetic", "arithmetic/train", (False, True)),
        ("both", "tracking/train:1 + arithmetic/train:3", (True, True)),
    ):
        entry, *shares = table[row]
        assert entry == name
        for share, own, source in zip(shares, bold, ("tracking/test", "arithmetic/test"), strict=True):
            value = tests[name][source].accuracy
            text = f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"
            assert share == (f"**{text}**" if own else text)
    marks_SE = np.array([[mark == "x" for mark in text] for text in ("xxxxxxxx..", "xxxxxxxxx.")])
    assert tests["tracking"]["tracking/test"].accuracy == estimate(marks_SE)
    assert dict(budget_tables(summary, ""))[TITLE] in main_tables(summary)


def test_entries_that_were_trained_on_the_same_sources_have_no_such_table(folders: list[Path]) -> None:
    summary = summarise("x", [collect(folder, "", "a") for folder in folders[:2]], "a")
    assert TITLE not in dict(budget_tables(summary, "")) and "Transfer" not in main_tables(summary)


def test_the_command_writes_the_table_for_readers_and_for_tensorboard(
    folders: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        compare.main([*map(str, folders), "--out", str(tmp_path / "out")])
    assert "--transfer for finished runs" in capsys.readouterr().err
    assert compare.main([*map(str, folders), "--out", str(tmp_path / "out"), "--transfer"]) == 0
    shown = capsys.readouterr().out
    text = (tmp_path / "out" / "table.md").read_text()
    assert f"### {TITLE}" in text and "| tracking/train:1 + arithmetic/train:3 |" in text and "trained on" in shown
    events = EventAccumulator(str(tmp_path / "out" / "tensorboard")).Reload()
    assert any("Transfer" in tag for tag in events.Tags()["tensors"])
    lines = csv.DictReader(io.StringIO((tmp_path / "out" / "table.csv").read_text()))
    assert [line["trained_on"] for line in lines][-1] == "tracking/train:1 + arithmetic/train:3"
    assert csv_text([collect(folders[0], "", "a")]).startswith("budget,entry,seed,commit,trained_on,")
