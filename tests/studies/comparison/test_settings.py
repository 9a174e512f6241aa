"""A comparison's settings: read strictly, and every contradiction found before any work."""

from pathlib import Path

import pytest

from rim.base.errors import SettingsError
from rim.studies.comparison.settings import Budget, Comparison, Entry, load_comparison, only, problems

GOOD = """
name: x
seeds: [0, 1]
budgets:
  - {name: updates, updates: 100}
  - {name: flops, flops_of: direct, updates: 50}
entries:
  - {name: direct, overrides: [method.name=direct]}
  - {name: cot, overrides: [method.name=cot]}
  - {name: blocks, start: cot, seeds: [1], budgets: [updates]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.yaml"
    path.write_text(GOOD)
    return path


def test_what_is_read(file: Path) -> None:
    found = load_comparison([file], ["jobs=2", "entries.0.overrides=[a=1, b.c=x]", "budgets.0.updates=7"])
    assert (found.name, found.folder, found.jobs, found.path) == ("x", "runs", 2, Path("runs/x"))
    assert found.entries[0].overrides == ["a=1", "b.c=x"] and found.budgets[0].updates == 7
    assert found.reference_entry == "direct"
    assert [found.seeds_of(entry) for entry in found.entries] == [[0, 1], [0, 1], [1]]
    assert [found.budgets_of(entry) for entry in found.entries] == [
        ["updates", "flops"],
        ["updates", "flops"],
        ["updates"],
    ]


def test_a_setting_of_a_run_is_given_to_all_after_those_of_the_file(file: Path) -> None:
    more = file.with_name("more.yaml")
    more.write_text("overrides: [training.clip=2, training.batch_size=32]")
    found = load_comparison([file, more], ["training.batch_size=8", "stages.*.learning_rate=1e-2", "jobs=2"])
    assert found.overrides == [
        *("training.clip=2", "training.batch_size=32"),
        *("training.batch_size=8", "stages.*.learning_rate=1e-2"),
    ]
    assert load_comparison([file, more], ["overrides=[]", "training.clip=3"]).overrides == ["training.clip=3"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "seed=[1]",
            "seed = \"[1]\": there is no such setting; did you mean 'seeds'?; a comparison has: name, folder,",
        ),
        ("entries.0.nmae=a", "there is no such setting; did you mean 'entries[0].name'?; entries[0] has: name, overr"),
        ("jobs=many", 'jobs = "many": allowed is a whole number'),
        ("jobs=0", "jobs = 0: must be at least 1"),
        ("seeds=[]", "seeds empty: a comparison trains entries x seeds under a budget"),
        ("seeds=[1,1]", "seeds = [1, 1]: each stands there once, and is 0 or more"),
        ("seeds=[-1,1]", "seeds = [-1, 1]: each stands there once, and is 0 or more"),
        ("entries=[]", "entries empty: a comparison trains entries x seeds"),
        ("entries.1.name=direct", "entries: 2 are named 'direct'; every one needs a name of its own"),
        ("entries.1.name=a/b", "entries[1].name = 'a/b': names a folder: letters, digits"),
        ("budgets.0.name=tensorboard", "'tensorboard' is the comparison's own"),
        (
            "reference=dirct",
            "reference = 'dirct': there is no such entry; did you mean 'direct'?; there are direct, cot",
        ),
        ("entries.2.start=cto", "entries[2].start = 'cto': there is no such entry; did you mean 'cot'?"),
        ("entries.2.start=blocks", "entries[2].start = 'blocks': starts lead back to 'blocks' itself"),
        ("entries.1.start=blocks", "starts lead back to 'blocks' itself; one of them must start fresh"),
        ("entries.1.seeds=[0]", "entries[2].start = 'cot': it is not trained with seeds 1, which 'blocks' has"),
        ("entries.1.budgets=[flops]", "it is not trained with budgets updates, which 'blocks' has"),
        (
            "entries.2.budgets=[update]",
            "entries[2].budgets = 'update': there is no such budget; did you mean 'updates'?",
        ),
        ("budgets.0.updates=null", "budgets[0] sets nothing: a budget is `updates: 2000`, or `flops: 1e13`"),
        ("budgets.0.flops=1e9", "budgets[0] sets updates and flops: a budget is"),
        ("budgets.0.updates=0", "budgets[0].updates = 0: must be at least 1"),
        ("budgets.1.flops_of=dirct", "budgets[1].flops_of = 'dirct': there is no such entry; did you mean 'direct'?"),
        ("budgets.1.flops_of=blocks", "this entry starts from another, so its cost is known only once that one is tr"),
    ],
)
def test_what_is_refused(file: Path, override: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_comparison([file], [override])
    assert message in str(error.value)


def test_a_name_is_required(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("seeds: [1]")
    with pytest.raises(SettingsError, match="defaults: name is not set and has no default; allowed is text"):
        load_comparison([tmp_path / "a.yaml"])


def test_everything_that_is_wrong_is_said_at_once(file: Path) -> None:
    with pytest.raises(SettingsError) as error:
        load_comparison([file], ["jobs=0", "reference=y"])
    assert str(error.value).count("\n") == 1


def test_some_entries_bring_along_what_they_need(tmp_path: Path) -> None:
    entries = [Entry("direct"), Entry("cot"), Entry("rim"), Entry("late", start="cot"), Entry("later", start="late")]
    budgets = [Budget("updates", 10), Budget("flops", 10, flops_of="rim")]
    whole = Comparison("x", str(tmp_path), entries=entries, budgets=budgets)
    kept = lambda *names: [entry.name for entry in only(whole, names).entries]  # noqa: E731
    assert kept("later") == ["direct", "cot", "rim", "late", "later"]
    assert kept("cot") == ["direct", "cot", "rim"]
    assert list(problems(only(whole, ["cot"]))) == []
    with pytest.raises(SettingsError, match="--only = 'lat': there is no such entry; did you mean 'late'"):
        only(whole, ["lat"])
