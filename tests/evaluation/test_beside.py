"""Runs that are trained without blocks stand beside the controls of a run, where they are scored on the same rows."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rim import evaluate
from rim.evaluation.base_run import _own
from rim.evaluation.beside import BesideError, Other, beside_report
from rim.evaluation.metrics import score
from rim.evaluation.predictions import Prediction
from rim.evaluation.scoring import rule_facts
from rim.report.proportion import Proportion
from rim.runs.folder import RunFolder
from tests.models import Rows

FORMER = Path(__file__).parents[1] / "former_runs" / "full"
SCORE = score([Prediction(str(row), "?", "Ann", 1, ("Ann",), (row < 9,), "text") for row in range(10)])
SPLIT: Any = Rows()


def scored(folder: Path, **facts: object) -> Path:
    """A run folder with a record of one score."""
    (folder / "results").mkdir(parents=True)
    for name in ("config.yaml", "selection.json"):
        shutil.copy(FORMER / name, folder)
    record = {"name": "refinement-best", "update": 1150, "rows": SPLIT.report.encoded, "rule": rule_facts("text")}
    record |= {"final": {"correct": 6, "count": 10, "accuracy": 0.6}, **facts}
    (folder / "results" / "tracking-test.json").write_text(json.dumps(record))
    return folder


def test_a_row_for_each_run(tmp_path: Path) -> None:
    report = beside_report([Other.of(scored(tmp_path / "run"), "tracking/test", SPLIT)], SCORE, 0.95)
    assert report.startswith("### Other runs on the same rows (this run: 0.900)")
    cells = [cell.strip() for cell in report.splitlines()[-1].split("|")[1:-1]]
    assert cells == [str(tmp_path / "run"), "memory_blocks", "1,150", "0.600", "0.313 to 0.832", "+0.300"]


OTHERS: list[tuple[dict[str, Any], str]] = [
    ({"rows": "abd"}, "of other rows or tokens"),
    ({"rule": {**rule_facts("text"), "version": "0"}}, "marked by another answer rule, or another version of it"),
    ({"rule": None}, "marked by another answer rule, or another version of it"),
    ({"name": "grounding-best"}, "of checkpoint 'grounding-best' with memory.blocks=3, not of the run's own"),
    ({"blocks": 1}, "of checkpoint 'refinement-best' with memory.blocks=1, not of the run's own"),
]


@pytest.mark.parametrize(("facts", "reason"), OTHERS)
def test_scores_that_do_not_compare(facts: dict[str, Any], reason: str, tmp_path: Path) -> None:
    """Neither do they stand beside controls, nor beside those of the base model."""
    run = scored(tmp_path / "run", **facts)
    with pytest.raises(BesideError) as error:
        Other.of(run, "tracking/test", SPLIT)
    assert str(error.value) == (
        f"--beside {run}: its score of tracking/test is {reason}, and does not compare; score it: python -m "
        f"rim.evaluate --run {run} --test tracking/test, with the data settings of this run"
    )
    folder = RunFolder(run)
    assert _own(folder, folder.config_as_saved(), "tracking/test", SPLIT) == {}


def test_a_score_that_does_stands_beside_the_base_model(tmp_path: Path) -> None:
    folder = RunFolder(scored(tmp_path / "run", blocks=3))
    own = _own(folder, folder.config_as_saved(), "tracking/test", SPLIT)
    assert own == {"this run (memory_blocks)": Proportion(6, 10)}


def test_a_run_without_a_score_is_refused_before_anything_is_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, other = shutil.copytree(FORMER, tmp_path / "run"), scored(tmp_path / "other")
    (other / "results" / "tracking-test.json").unlink()
    with pytest.raises(SystemExit):
        evaluate.main(["--run", str(run), "--beside", str(other), f"data.cache={tmp_path}/cache"])
    assert f"--beside {other}: this run has no score of tracking/test; score it: python" in capsys.readouterr().err
    assert not (run / "results").exists()


def test_it_belongs_to_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluate.main(["--run", str(FORMER), "--protocol", "--beside", "runs/direct"])
    assert "error: --beside goes with --run alone: it stands beside the controls of that run" in capsys.readouterr().err
