"""Which runs a comparison has, in which order, and what is refused before the first one starts."""

from pathlib import Path

import pytest

from rim.base.errors import SettingsError
from rim.methods.registry import METHODS
from rim.settings.load import save
from rim.studies.comparison.plan import check_plan, plan_runs
from rim.studies.comparison.sameness import ComparisonError
from rim.studies.comparison.settings import Budget, Comparison, Entry

DIRECT, COT = Entry("direct", ["method.name=direct"]), Entry("cot", ["method.name=cot"])


def comparison(folder: Path, *entries: Entry, **more: object) -> Comparison:
    settings = {"seeds": [0, 1], "budgets": [Budget("updates", 200)]} | more
    return Comparison("x", str(folder), entries=list(entries or (DIRECT, COT)), **settings)  # type: ignore[arg-type]


def test_runs_go_budget_by_budget_and_seed_by_seed(tmp_path: Path) -> None:
    both = [Budget("a", 100), Budget("b", flops=1e9)]
    few = Entry("few", seeds=[1, 5], budgets=["b"])
    names = [run.name for run in plan_runs(comparison(tmp_path, DIRECT, COT, few, budgets=both))]
    assert names == [
        "a/direct/seed-0", "a/cot/seed-0", "a/direct/seed-1", "a/cot/seed-1",
        "b/direct/seed-0", "b/cot/seed-0", "b/direct/seed-1", "b/cot/seed-1", "b/few/seed-1", "b/few/seed-5",
    ]  # fmt: skip


def test_a_run_that_gives_a_budget_its_size_is_not_trained_twice(tmp_path: Path) -> None:
    both = [Budget("a", 100), Budget("b", 100, flops_of="direct"), Budget("c", 200, flops_of="direct")]
    runs = plan_runs(comparison(tmp_path, DIRECT, COT, budgets=both, seeds=[0]))
    assert [(run.budget.name, run.name) for run in runs] == [
        ("a", "a/direct/seed-0"), ("a", "a/cot/seed-0"), ("b", "a/direct/seed-0"), ("b", "b/cot/seed-0"),
        ("c", "c/direct/seed-0"), ("c", "c/cot/seed-0"),
    ]  # fmt: skip
    assert runs[0].config(100) == runs[2].config(100), "equal settings, or the shared folder would be refused"


def test_a_start_that_gives_a_budget_its_size_is_waited_for_where_it_is_trained(tmp_path: Path) -> None:
    both = [Budget("a", 100), Budget("b", 100, flops_of="direct"), Budget("c", 200, flops_of="direct")]
    on_top = Entry("blocks", start="direct")
    runs = plan_runs(comparison(tmp_path, DIRECT, on_top, budgets=both, seeds=[0]))
    begun = {run.name: run.start for run in runs if run.entry is on_top}
    trained = {name: tmp_path / "x" / name for name in ("a/direct/seed-0", "c/direct/seed-0")}
    assert begun == {
        "a/blocks/seed-0": trained["a/direct/seed-0"], "b/blocks/seed-0": trained["a/direct/seed-0"],
        "c/blocks/seed-0": trained["c/direct/seed-0"],
    }  # fmt: skip
    assert {*begun.values()} <= {run.folder for run in runs}


def test_the_settings_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("training: {batch_size: 64, clip: 3}\n")
    blocks = Entry("blocks", ["training.clip=5", "method.name=memory_blocks"], start="cot")
    asked = comparison(tmp_path, COT, blocks, base=[str(tmp_path / "base.yaml")], overrides=["training.batch_size=32"])
    run = plan_runs(asked)[3]
    config = run.config(200)
    assert Path(config.run.folder) / config.run.name == run.folder == tmp_path / "x" / "updates" / "blocks" / "seed-1"
    assert (config.run.seed, config.training.duration, config.training.clip, config.training.batch_size) == (
        1, "200 steps", 5.0, 32,
    )  # fmt: skip
    assert config.backbone.start_from == str(tmp_path / "x" / "updates" / "cot" / "seed-1") == str(run.start)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (Entry("a", ["method.nam=cot"]), "entry 'a': override 'method.nam=cot': method.nam = "),
        (Entry("a", ["run.seed=3"]), "overrides of entry 'a': 'run.seed=3' is the comparison's to set"),
        (Entry("a", ["backbone.start_from=runs/y"], start="direct"), "'backbone.start_from=runs/y' is the com"),
        (Entry("a", ["stages.0.duration=40 steps"]), "entry 'a': stages[0].duration = '40 steps' is not per cent"),
        (Entry("a", ["stages.0.duration=70%"]), "entry 'a': stages of 70% + 25% make 190 of 200 updates: they must"),
        (Entry("a", ["stages.0.duration=74.6%", "stages.1.duration=25.4%"]), "make 201 of 200 updates: they must"),
    ],
)  # fmt: skip
def test_an_entry_that_cannot_be_trained_as_asked_is_refused(tmp_path: Path, entry: Entry, message: str) -> None:
    asked = comparison(tmp_path, DIRECT, entry)
    with pytest.raises(SettingsError) as error:
        check_plan(asked, plan_runs(asked))
    assert message in str(error.value)


def test_the_stages_of_every_method_share_a_budget_out(tmp_path: Path) -> None:
    asked = comparison(tmp_path, *(Entry(name, [f"method.name={name}"]) for name in METHODS))
    check_plan(asked, plan_runs(asked))


def test_a_budget_that_stages_cannot_share_out_evenly_is_refused(tmp_path: Path) -> None:
    asked = comparison(tmp_path, Entry("blocks"), budgets=[Budget("updates", 201)])
    with pytest.raises(SettingsError, match=r"75% \+ 25% make 202 of 201 updates: .* 300 would do if they do"):
        check_plan(asked, plan_runs(asked))
    free = comparison(tmp_path, Entry("blocks"), budgets=[Budget("flops", flops=1e9)])
    check_plan(free, plan_runs(free))


def test_entries_on_different_data_are_refused(tmp_path: Path) -> None:
    asked = comparison(tmp_path, DIRECT, Entry("other", ["data.test=[tracking/ood]", "data.workers=2"]))
    with pytest.raises(ComparisonError) as error:
        check_plan(asked, plan_runs(asked))
    assert "'direct' and 'other' are not on the same data: data.test: " in str(error.value)
    assert "workers" not in str(error.value)


def test_a_folder_with_another_run_is_refused(tmp_path: Path) -> None:
    asked = comparison(tmp_path)
    run = plan_runs(asked)[1]
    run.folder.mkdir(parents=True)
    save(run.config(200), run.folder / "config.yaml")
    check_plan(asked, plan_runs(asked))
    changed = comparison(
        tmp_path, overrides=["training.clip=9", "training.threads=3"], budgets=[Budget("updates", 300)]
    )
    with pytest.raises(ComparisonError) as error:
        check_plan(changed, plan_runs(changed))
    assert f"{run.folder} holds a run with other settings than the comparison asks for: training.duration: " in str(
        error.value
    )
    assert "training.clip: 1.0 -> 9.0" in str(error.value) and "threads" not in str(error.value)
