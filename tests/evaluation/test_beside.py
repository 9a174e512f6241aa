"""Runs that are trained without blocks stand beside the controls of a run, where they are scored on the same rows."""

import json
import shutil
from pathlib import Path

import pytest

from rim import evaluate
from rim.evaluation.beside import BesideError, beside_report
from rim.evaluation.metrics import score
from rim.evaluation.predictions import Prediction

FORMER = Path(__file__).parents[1] / "former_runs" / "full"
SCORE = score([Prediction(str(row), "?", "Ann", 1, ("Ann",), (row < 9,), "text") for row in range(10)])


def scored(folder: Path, **facts: object) -> Path:
    """A run folder with a record of one score."""
    (folder / "results").mkdir(parents=True)
    shutil.copy(FORMER / "config.yaml", folder)
    record = {"update": 1150, "rows": "abc", "final": {"correct": 6, "count": 10, "accuracy": 0.6}, **facts}
    (folder / "results" / "tracking-test.json").write_text(json.dumps(record))
    return folder


def test_a_row_for_each_run(tmp_path: Path) -> None:
    report = beside_report([scored(tmp_path / "run")], "tracking/test", "abc", SCORE, 0.95)
    assert report.startswith("### Other runs on the same rows (this run: 0.900)")
    cells = [cell.strip() for cell in report.splitlines()[-1].split("|")[1:-1]]
    assert cells == [str(tmp_path / "run"), "memory_blocks", "1,150", "0.600", "0.313 to 0.832", "+0.300"]


def test_scores_of_other_rows_do_not_compare(tmp_path: Path) -> None:
    run = scored(tmp_path / "run")
    with pytest.raises(BesideError, match=r"its score of tracking/test is of other rows or tokens, and does not"):
        beside_report([run], "tracking/test", "abd", SCORE, 0.95)
    with pytest.raises(BesideError, match=r"has no score of tracking/ood; score it: python -m rim.evaluate --run"):
        beside_report([run], "tracking/ood", "abc", SCORE, 0.95)


def test_it_belongs_to_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        evaluate.main(["--run", str(FORMER), "--protocol", "--beside", "runs/direct"])
    assert "error: --beside goes with --run alone: it stands beside the controls of that run" in capsys.readouterr().err
