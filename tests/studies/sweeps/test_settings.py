"""A sweep's settings: read strictly, and every contradiction found before any work."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from rim.base.errors import SettingsError
from rim.settings.schema import reference
from rim.studies.sweeps.axes import read_axes
from rim.studies.sweeps.outcome import VALIDATION
from rim.studies.sweeps.settings import VALIDATION as NAME
from rim.studies.sweeps.settings import Sweep, load_sweep

GOOD = """
name: sweeps/x
base: [conf/tracking.yaml]
space:
  memory.blocks: [1, 2]
  curriculum: {both: [], one: ["stages=[]"]}
baselines:
  direct: [method.name=direct]
seeds: [0, 1]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "x.yaml"
    path.write_text(GOOD)
    return path


def test_what_is_read(file: Path, tmp_path: Path) -> None:
    more = tmp_path / "more.yaml"
    more.write_text("space: {memory.blocks: [4], training.clip: [1, 2]}\nquestion: why?")
    found = load_sweep([file, more], ["jobs=2", "folder=out"])
    assert (found.name, found.question, found.jobs, found.path) == ("sweeps/x", "why?", 2, Path("out/sweeps/x"))
    assert load_sweep([file], ["training.batch_size=8"]).overrides == ["training.batch_size=8"]
    assert found.address == "sqlite:///out/sweeps/x/study.db"
    assert found.space == {
        "memory.blocks": [4],
        "curriculum": {"both": [], "one": ["stages=[]"]},
        "training.clip": [1, 2],
    }
    assert load_sweep([file], ["storage=postgresql://h/d"]).address == "postgresql://h/d"


@pytest.mark.parametrize(
    ("override", "name", "value"),
    [
        ("space.memory.blocks=[8]", "memory.blocks", [8]),
        ("space.stages.*.learning_rate={low: 1e-5, high: 1e-3, log: true}", "stages.*.learning_rate",
         {"low": 1e-5, "high": 1e-3, "log": True}),
        ("space.curriculum={a: [method.name=cot, x=1]}", "curriculum", {"a": ["method.name=cot", "x=1"]}),
        ("space={training.clip: [1]}", "training.clip", [1]),
    ],
)  # fmt: skip
def test_axes_can_be_overridden(file: Path, override: str, name: str, value: object) -> None:
    found = load_sweep([file], [override]).space
    assert found[name] == value and (len(found) == 1) == override.startswith("space=")


def test_axes_and_baselines_can_be_taken_out(file: Path) -> None:
    found = load_sweep([file], ["space.curriculum=null", "baselines.direct=null", "baselines.cot=[method.name=cot]"])
    assert found.space == {"memory.blocks": [1, 2]} and found.baselines == {"cot": ["method.name=cot"]}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed=[1]", "there is no such setting; did you mean 'seeds'?; a sweep has: name, folder, question, base,"),
        ("spcae.memory.blocks=[1]", "there is no such setting; did you mean 'space'?"),
        ("space=[1]", "override 'space=[1]': space = [1]: allowed is a mapping, such as `memory.blocks: [1, 2, 4]`"),
        ("baselines=direct", 'baselines = "direct": allowed is a mapping, such as `direct: [method.name=direct]`'),
        ("space.memory.blocks=[1", 'space.memory.blocks = "[1": this is not valid YAML'),
        ("name=../x", "name = '../x': names a folder: letters, digits"),
        ("seeds=[]", "seeds = []: at least one; each stands there once, and is 0 or more"),
        ("seeds=[1,1]", "seeds = [1, 1]: at least one; each stands there once"),
        ("jobs=0", "jobs = 0: must be at least 1"),
        ("hours=0", "hours = 0.0: must be above 0; empty is no limit"),
        ("sampler=bayes", 'sampler = "bayes": allowed is one of grid, tpe, random'),
        ("trials=4", "trials = 4: a grid is swept whole; leave it empty, or use sampler=random or tpe"),
        ("sampler=tpe", "trials is empty: sampler tpe needs a number of points, such as trials=40"),
    ],
)
def test_what_is_refused(file: Path, override: str, message: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_sweep([file], [override])
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "who"), [(["sampler=tpe", "trials=3"], "sampler tpe"), (["pruner=median"], "pruner median")]
)
def test_nothing_that_learns_uses_a_test_source(file: Path, overrides: list[str], who: str) -> None:
    with pytest.raises(SettingsError) as error:
        load_sweep([file], [*overrides, "metric=tracking/test"])
    assert f"metric = 'tracking/test': {who} chooses by scores, and nothing is ever chosen on a test set" in str(
        error.value
    )
    assert load_sweep([file], ["metric=tracking/test"]).metric == "tracking/test"


def test_every_setting_is_explained_with_the_form_of_its_entries(file: Path) -> None:
    text = reference(root=Sweep)
    headings = [line.split(" ")[0] for line in text.splitlines() if not line.startswith(" ")]
    assert headings == [each.name for each in fields(Sweep)]
    assert "space = {}\n    a mapping: {NAME: ..., ...}\n    Axes. An entry is the path of a setting with " in text
    assert "baselines = {}\n    a mapping: {NAME: ..., ...}\n    Runs outside the space," in text
    assert "`direct: [method.name=direct]`" in reference("baselines", Sweep)
    examples = re.findall(r"`(.+?: .+?)`", reference("space", Sweep))
    assert len(examples) == 3
    for example in examples:
        file.write_text(f"name: x\nsampler: random\ntrials: 2\nbase: [conf/tracking.yaml]\nspace:\n  {example}\n")
        assert len(read_axes(load_sweep([file]))) == 1


def test_the_name_of_the_validation_score_is_that_of_the_records() -> None:
    assert NAME == VALIDATION
