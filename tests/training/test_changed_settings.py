"""What may change when a run goes on, one setting after the other: it lands on the curve of the uninterrupted run.

Each goes on from the same checkpoint, over the switch of stages and a validation.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rim.runs.folder import RunError, RunFolder
from rim.settings.load import load
from rim.settings.resuming import FREE
from rim.training.module import RimModule
from rim.training.run import fit
from tests.runs import curve, tiny
from tests.training.test_contract import Struck
from tests.training.test_nodes import SHORT
from tests.training.test_two_processes import assert_close

CHANGES = {
    "data.root": "{folder}",
    "data.cache": "{folder}/other",
    "data.workers": "1",
    "training.tokens_per_line": "48",
    "training.tokens_per_pass": "1",
    "training.accelerator": "auto",
    "training.threads": "null",
    "training.save_every": "3 steps",
    "training.keep_every": "2 steps",
    "training.log_every": "2",
    "training.loggers": "[csv]",
    "evaluation.batch_size": "3",
    "evaluation.decode": "static",
}
SHOWN_ELSEWHERE = {
    *("training.nodes", "training.devices"),  # test_nodes.py
    "training.strategy",  # test_sharded.py
    "run.folder",  # below
    *("data.revisions", "data.modules", "data.own.train", "data.own.validation", "data.own.test"),  # test_same_rows.py
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with an uninterrupted run, and one that was struck down after its fifth update."""
    folder = tmp_path_factory.mktemp("changed")
    with pytest.MonkeyPatch.context() as patch:
        assert fit(tiny(folder, *SHORT, "run.name=straight")) == 0
        patch.setattr(RimModule, "training_step", struck_after(5))
        with pytest.raises(Struck):
            fit(tiny(folder, *SHORT, "run.name=struck"))
    yield folder


def struck_after(updates: int) -> Any:
    step = RimModule.training_step

    def struck(module: RimModule, *batch: Any) -> None:
        if module.updates == updates:
            raise Struck
        step(module, *batch)

    return struck


@pytest.mark.parametrize("setting", CHANGES)
def test_a_setting_that_changes_no_number_may_be_another_one(
    setting: str, runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name, value = setting.replace(".", "-"), CHANGES[setting].format(folder=runs)
    shutil.copytree(runs / "struck", runs / name)
    config = (runs / name / "config.yaml").read_text().replace("name: struck", f"name: {name}")
    (runs / name / "config.yaml").write_text(config)
    assert fit(tiny(runs, *SHORT, f"run.name={name}", f"{setting}={value}")) == 0
    assert f"resumed       after update 5 of 9; {setting}: " in capsys.readouterr().out
    wanted = {(each["update"], "loss" in each): each for each in curve(runs / "straight")}
    mine = curve(runs / name)
    assert_close(mine, [wanted[each["update"], "loss" in each] for each in mine])
    assert len(mine) == len(wanted) - (2 if setting == "training.log_every" else 0)
    choices = [(runs / each / "selection.json").read_text() for each in (name, "straight")]
    assert choices[0] == choices[1]


def test_a_run_that_was_moved_goes_on(runs: Path) -> None:
    """As a message of a full disk advises."""
    shutil.copytree(runs / "struck", runs / "other" / "struck")
    assert fit(tiny(runs, *SHORT, "run.name=struck", f"run.folder={runs / 'other'}")) == 0
    assert curve(runs / "other" / "struck") == curve(runs / "straight")


def test_every_setting_that_may_change_is_shown_to_change_nothing() -> None:
    assert {*CHANGES} | SHOWN_ELSEWHERE == {*FREE} and not {*CHANGES} & SHOWN_ELSEWHERE


@pytest.mark.parametrize("change", ["training.batch_size=4", "training.checkpointing=full", "data.max_steps=2"])
def test_any_other_setting_is_refused(change: str, runs: Path) -> None:
    with pytest.raises(RunError) as error:
        fit(tiny(runs, *SHORT, "run.name=struck", change, "training.tokens_per_pass=1"))
    setting, _, value = change.partition("=")
    assert f"holds a run with other settings: {setting}: " in str(error.value) and value in str(error.value)
    assert "tokens_per_pass: " not in str(error.value)
    assert str(error.value).endswith(f"Only these may change: {', '.join(FREE)}")


def test_a_run_without_memory_for_its_first_update_begins_with_smaller_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the run that it is told to be now."""
    with monkeypatch.context() as patch:
        patch.setattr(RimModule, "training_step", struck_after(0))
        with pytest.raises(Struck):
            fit(tiny(tmp_path, *SHORT, "run.name=big"))
    assert not RunFolder(tmp_path / "big").begun
    assert fit(tiny(tmp_path, *SHORT, "run.name=big", "training.tokens_per_pass=1", "training.devices=1")) == 0
    assert load([tmp_path / "big" / "config.yaml"]).training.tokens_per_pass == 1
    assert json.loads((tmp_path / "big" / "result.json").read_text())["weights"]["update"] == 9


def test_a_checkpoint_without_settings_is_not_gone_on_from(tmp_path: Path) -> None:
    """A folder that is removed while a run is asked to stop is made again by its last checkpoint, without the rest."""
    folder = RunFolder(tmp_path / "run")
    folder.check_settings(tiny(tmp_path))
    folder.path.mkdir()
    folder.resume.touch()
    with pytest.raises(RunError, match=r"/run holds a run without its config.yaml, so its settings are not known"):
        folder.check_settings(tiny(tmp_path))
