"""Which finished runs are seeds of one entry, what entries are called, and runs that cannot stand side by side."""

import json
from pathlib import Path

import pytest

from rim.evaluation.controls import VERSION, newest
from rim.runs.folder import RunError
from rim.studies.comparison.collect import collect
from rim.studies.comparison.conduct import compare_named
from rim.studies.comparison.grouping import collect_named
from rim.studies.comparison.sameness import (
    ComparisonError,
    check_same_examples,
    check_same_rule,
    common_decode,
    older_controls,
)
from tests.studies.comparison.fakes import fake_run

RIGHT = {"tracking/test": [[True], [False], [True], [True]]}
ONE = ("t/0", "1", "q")
DIRECT, COT = "method.name=direct", "method.name=cot"


def names(*folders: Path) -> list[tuple[str, int]]:
    return [(run.entry, run.seed) for run in collect_named(folders)]


def test_runs_that_differ_in_name_folder_and_seed_alone_are_one_entry(tmp_path: Path) -> None:
    folders = [
        fake_run(tmp_path / "direct" / "seed-0", RIGHT, DIRECT),
        fake_run(tmp_path / "elsewhere", RIGHT, COT, "run.seed=3"),
        fake_run(tmp_path / "direct" / "seed-1", RIGHT, DIRECT, "run.seed=1"),
        fake_run(tmp_path / "direct" / "longer", RIGHT, DIRECT, "training.duration=9 epochs"),
    ]
    assert names(*folders) == [("direct", 0), ("direct", 1), ("elsewhere", 3), ("longer", 0)]


def test_runs_that_start_from_their_own_seed_are_one_entry(tmp_path: Path) -> None:
    folders = [
        fake_run(tmp_path / "late" / f"seed-{n}", RIGHT, f"run.seed={n}", f"backbone.start_from=runs/cot/seed-{n}")
        for n in (0, 1)
    ]
    other = fake_run(tmp_path / "x", RIGHT, "run.seed=2", "backbone.start_from=runs/cot/seed-1")
    assert names(*folders, other) == [("late", 0), ("late", 1), ("x", 2)]


def test_equal_names_are_told_apart_by_their_path(tmp_path: Path) -> None:
    folders = [
        fake_run(tmp_path / budget / method / "seed-0", RIGHT, f"method.name={method}", f"training.duration={length}")
        for budget, length in (("updates", "8 epochs"), ("flops", "9 epochs"))
        for method in ("direct", "cot")
    ]
    found = [name for name, _ in names(*folders, fake_run(tmp_path / "pause", RIGHT, "method.name=pause"))]
    assert found == ["updates/direct", "updates/cot", "flops/direct", "flops/cot", "pause"]


def test_the_same_run_twice_is_refused(tmp_path: Path) -> None:
    folders = [fake_run(tmp_path / name, RIGHT, DIRECT) for name in "ab"]
    with pytest.raises(ComparisonError) as error:
        collect_named(folders)
    assert f"{folders[0]} and {folders[1]} are the same run twice: equal settings and seed 0. Name one" in str(
        error.value
    )


def test_other_data_is_refused_and_named(tmp_path: Path) -> None:
    first = fake_run(tmp_path / "a", RIGHT, DIRECT, "data.workers=1", "data.cache=here")
    same = fake_run(tmp_path / "b", RIGHT, COT, "data.workers=2", "data.cache=there", "data.steps=sentences")
    assert names(first, same) == [("a", 0), ("b", 0)]
    other = fake_run(tmp_path / "c", {**RIGHT, "tracking/ood": [[True]]}, COT, "data.tracking.people=5")
    with pytest.raises(ComparisonError) as error:
        collect_named([first, same, other])
    text = str(error.value)
    assert f"'{first}' and '{other}' are not on the same data: " in text
    assert 'data.test: ["tracking/test"] -> ["tracking/test", "tracking/ood"]; data.tracking.people: 6 -> 5' in text


def test_runs_that_decode_differently_are_compared_and_are_seeds_of_one_entry(tmp_path: Path) -> None:
    """Answers do not depend on it; latencies do."""
    runs = [
        fake_run(tmp_path / f"a/seed-{seed}", RIGHT, f"run.seed={seed}", f"evaluation.decode={way}")
        for seed, way in enumerate(("plain", "static"))
    ]
    assert names(*runs) == [("a", 0), ("a", 1)]


def test_waiting_times_stand_side_by_side_in_one_way_of_decoding() -> None:
    assert common_decode({"a": "static", "b": "static"}) == ("static", [])
    text = "Runs decode in different ways (a static, b plain), so all latencies are of plain decoding."
    assert common_decode({"a": "static", "b": "plain"}) == ("plain", [text])


def test_what_is_no_finished_run_is_refused(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "a", RIGHT)
    with pytest.raises(RunError, match=r"nowhere is not a run folder: it has no config.yaml. Runs beside it: .*/a"):
        collect_named([run, tmp_path / "nowhere"])
    (run / "result.json").unlink()
    with pytest.raises(
        ComparisonError, match=r"a is not finished: it has no result.json. Repeat the command that began"
    ):
        collect_named([run])


def test_results_of_another_evaluation_are_refused(tmp_path: Path) -> None:
    run = fake_run(tmp_path / "a", RIGHT)
    file = run / "results" / "tracking-test.json"
    scores = json.loads(file.read_text())
    scores["final"]["accuracy"] = 0.5
    file.write_text(json.dumps(scores))
    with pytest.raises(ComparisonError) as error:
        collect(run, "", "a")
    assert "has accuracy 0.5, and the run has concluded with 0.75: another evaluation was written over it" in str(
        error.value
    )
    assert f"rim.evaluate --run {run} --test tracking/test" in str(error.value)
    file.unlink()
    with pytest.raises(
        ComparisonError, match=r"a lacks results/tracking-test.json or .jsonl: score it again with rim.ev"
    ):
        collect(run, "", "a")


@pytest.mark.parametrize(
    ("other", "part"),
    [
        ([ONE, ("t/2", "3", "q")], "'a' answered 2 examples, 'b' 2, and 't/1' (answer '2') is not the same in both"),
        ([ONE, ("t/1", "5", "q")], "'t/1' (answer '2') is not the same in both. Differences are paired, example by"),
        ([ONE, ("t/1", "2", "another q")], "'t/1' (answer '2') is not the same in both"),
        ([ONE], "'a' answered 2 examples, 'b' 1, and 't/1' (answer '2') is not the same in both"),
        ([("t/1", "2", "q"), ONE], "and their order differs"),
    ],
)
def test_other_examples_are_refused(other: list[tuple[str, str, str]], part: str) -> None:
    examples = [ONE, ("t/1", "2", "q")]
    check_same_examples("t", {"a": examples, "b": list(examples)})
    with pytest.raises(ComparisonError) as error:
        check_same_examples("t", {"a": examples, "b": other})
    assert part in str(error.value)


def test_answers_marked_by_another_version_of_a_rule_are_refused() -> None:
    second = {"name": "integer", "version": 2}
    check_same_rule("t", {"a": second, "b": dict(second)})
    text = r"t: 'a' was marked by rule integer, version 2, 'b' by rule integer, version 3, .* rim\.evaluate --run DIR"
    with pytest.raises(ComparisonError, match=text):
        check_same_rule("t", {"a": second, "b": {"name": "integer", "version": 3}})
    with pytest.raises(ComparisonError, match="'b' by a rule without a version"):
        check_same_rule("t", {"a": second, "b": None})


def test_blocks_that_were_edited_otherwise_are_told(tmp_path: Path) -> None:
    """Results from before edits had versions, and those of a run of which one test set was scored again."""
    both = {"tracking/test": RIGHT["tracking/test"], "tracking/ood": RIGHT["tracking/test"]}
    changed = {"removed": [[False]] * 4, "noise": [[False]] * 4}
    new, mixed, removed = (
        fake_run(tmp_path / name, both, seed, controls={each: changed[each] for each in controls})
        for name, seed, controls in (
            ("new", "run.seed=0", changed),
            ("mixed", "run.seed=1", changed),
            ("removed", "training.duration=9 epochs", ["removed"]),
        )
    )
    for run in (mixed, removed):
        path = run / "results" / "tracking-ood.json"
        facts = json.loads(path.read_text())
        assert facts.pop("controls_version") == VERSION
        path.write_text(json.dumps(facts))
    assert [collect(run, "", "x").edit for run in (new, mixed, removed)] == [VERSION, 1, None]
    assert older_controls({"new": VERSION}) == []
    assert [newest(1, ""), newest(2, ">"), newest(2, ""), newest(VERSION, ">")] == [1, 2, VERSION, VERSION]
    assert compare_named([new, mixed, removed], tmp_path / "out", None) == tmp_path / "out"
    note = (
        f"**Swapped blocks and noise of {mixed} were measured by another edit of states than today's: they do not "
        "compare with others. Score these runs again: rim.evaluate --run DIR**"
    )
    assert note in (tmp_path / "out" / "table.md").read_text()
