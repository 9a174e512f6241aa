"""A finished model that is also read with other numbers of blocks than it was trained with."""

import json
from pathlib import Path

import pytest

from rim import evaluate
from rim.training.lengths import LengthError
from rim.training.run import fit
from tests.runs import tiny


def test_reading_fewer_blocks_is_reading_early_and_more_blocks_are_read_too(tmp_path: Path) -> None:
    assert fit(tiny(tmp_path, "evaluation.blocks=[5,1,2]")) == 0
    found = json.loads((tmp_path / "run/results/tracking-test.json").read_text())
    assert list(found["read_with"]) == ["1", "2", "5"]
    assert found["read_with"]["1"] == found["by_block"][0]  # no block sees a later one
    assert found["read_with"]["2"] == found["by_block"][1]
    assert found["read_with"]["5"]["count"] == 8
    report = (tmp_path / "run/report.md").read_text()
    assert "### The same weights, read with other numbers of blocks" in report
    assert f"| 5           |    {found['read_with']['5']['accuracy']:.3f} |" in report


def test_without_the_setting_nothing_is_read_or_written(tmp_path: Path) -> None:
    assert fit(tiny(tmp_path, "stages.0.duration=1 steps", "stages.1.duration=1 steps")) == 0
    assert "read_with" not in json.loads((tmp_path / "run/results/tracking-test.json").read_text())
    assert not (tmp_path / "run/adapters.json").exists(), "a full training has none"


def test_a_result_names_the_rows_that_were_scored(tmp_path: Path) -> None:
    """Other rows under the same name give another hash, as in `data.json`, so that scores of both are told apart."""
    assert fit(tiny(tmp_path, "stages.0.duration=1 steps", "stages.1.duration=1 steps")) == 0
    result = tmp_path / "run/results/tracking-test.json"
    before = json.loads(result.read_text())["rows"]
    assert before == json.loads((tmp_path / "run/data.json").read_text())[2]["encoded"] != ""
    assert evaluate.main(["--run", str(tmp_path / "run"), "data.tracking.seed=5"]) == 0
    assert json.loads(result.read_text())["rows"] not in ("", before)


def test_more_blocks_than_the_model_has_positions_for_are_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(LengthError, match=r"evaluation\.blocks names 40: .* but the model has 128: read with fewer"):
        fit(tiny(tmp_path, "evaluation.blocks=[4,40]"))
    assert not (tmp_path / "run/config.yaml").exists()
