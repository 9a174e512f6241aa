"""`rim.analyze` on run folders that are kept: what it writes, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest

from rim.analyze import PARTS, main

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
FORMER = Path(__file__).parents[1] / "former_runs"


def analyzed(folder: Path, name: str, *words: str) -> Path:
    """The folder of results of a copy of a run."""
    run = shutil.copytree(FORMER / name, folder / name)
    assert main(["--run", str(run), f"data.cache={folder}/cache", *words]) == 0
    return run / "analysis" / "tracking-test"


def test_all_parts_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = analyzed(tmp_path, "full", "--rows", "32", "data.test_rows=32")
    report, record = (found / "report.md").read_text(), json.loads((found / "results.json").read_text())
    assert {path.name for path in found.glob("*.png")} == {f"{part}.png" for part in PARTS}
    assert all(f"![{part}]({part}.png)" in report for part in PARTS)
    assert max(len(line) for line in report.splitlines()) <= 125
    outcomes = record["patch"]["other_answer"]["outcomes"]["question: changed tokens"]["layer 0"]
    assert outcomes == {"donor's": record["patch"]["other_answer"]["pairs"], "stays": 0, "broken": 0}
    assert record["examples"] == 32 and record["layers"] == [0, 1] and record["name"] == "refinement-best"
    printed = capsys.readouterr().out
    assert all(line in printed for line in report.splitlines() if line.startswith("|"))


def test_a_run_with_adapters(tmp_path: Path) -> None:
    found = analyzed(tmp_path, "lora", "--only", "lens", "patch", "--layers", "1", "--rows", "8")
    record = json.loads((found / "results.json").read_text())
    assert "probe" not in record and {cell["layer"] for cell in record["lens"]} == {"layer 1", "output"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--only", "prob"),
            "--only prob: no such part; did you mean 'probe'?; there are patch, probe, lens, pca, attention",
        ),
        (("--layers", "one"), "--layers one: a layer is a whole number, counted from 0"),
        (("--rows", "0"), "--rows 0: at least 1 question is read"),
        (("memory.tokens_per_block=4",), "'memory.tokens_per_block=4' would change the run, not its evaluation"),
        (("--layers", "7"), "--layers 7: there is no such layer to look at; this run has 0 to 1, counted from 0"),
    ],
)
def test_refusals(words: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--run", str(FORMER / "full"), f"data.cache={tmp_path}", *words])
    assert ended.value.code == 2 and f"error: {message}" in capsys.readouterr().err
    assert not (FORMER / "full" / "analysis").exists()
