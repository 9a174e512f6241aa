"""A finished run is scored again: what is told where its results cannot be written."""

import shutil
from pathlib import Path

import pytest

from rim import evaluate

FORMER = Path(__file__).parents[1] / "former_runs" / "full"


def test_a_report_that_cannot_be_written_has_been_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = shutil.copytree(FORMER, tmp_path / "run")
    (run / "results").write_text("a file in the place of the folder")
    few = ("data.test_rows=4", "evaluation.controls=[]", f"data.cache={tmp_path}/cache")
    with pytest.raises(SystemExit):
        evaluate.main(["--run", str(run), *few])
    told = capsys.readouterr()
    assert "## tracking/test: 4 distinct examples" in told.out and "| block 3 (final)" in told.out
    assert f"{run}/results/tracking-test.json could not be written" in told.err
