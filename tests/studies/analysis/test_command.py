"""`rim.analyze` on run folders that are kept: what it writes, and what it refuses."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from rim.analyze import PARTS, main
from rim.backbone.load import load_backbone
from rim.runs.folder import RunFolder

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
FORMER = Path(__file__).parents[2] / "former_runs"


def analyzed(folder: Path, name: str, *words: str) -> Path:
    """The folder of results of a copy of a run."""
    run = shutil.copytree(FORMER / name, folder / name)
    assert main(["--run", str(run), f"data.cache={folder}/cache", *words]) == 0
    return run / "analysis" / "tracking-test"


def test_all_parts_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = analyzed(tmp_path, "full", "--rows", "32", "data.test_rows=32")
    report, record = (found / "report.md").read_text(), json.loads((found / "results.json").read_text())
    drawn = {"affine_lens", *PARTS} - {"steps"}
    assert {path.name for path in found.glob("*.png")} == {f"{name}.png" for name in drawn}
    assert all(f"![{name}]({name}.png)" in report for name in drawn)
    assert "This run has no grounding checkpoint" in report and record["steps"] is None
    assert [one["model"] for one in record["pca"]] == ["before training"] * 2 + ["after training"] * 2
    assert max(len(line) for line in report.splitlines()) <= 125
    outcomes = record["patch"]["other_answer"]["outcomes"]["question: changed tokens"]["layer 0"]
    assert outcomes == {"donor's": record["patch"]["other_answer"]["pairs"], "stays": 0, "broken": 0}
    assert record["examples"] == 32 and record["layers"] == [0, 1] and record["name"] == "refinement-best"
    printed = capsys.readouterr().out
    assert all(line in printed for line in report.splitlines() if line.startswith("|"))


def test_a_run_with_adapters(tmp_path: Path) -> None:
    found = analyzed(tmp_path, "lora", "--only", "lens", "patch", "--layers", "1", "--rows", "8")
    record = json.loads((found / "results.json").read_text())
    assert "probe" not in record and {cell["layer"] for cell in record["lens"]["affine"]} == {"layer 1", "output"}


def test_a_test_set_of_another_task_than_the_training_set(tmp_path: Path) -> None:
    """Values of the rows that fit are read as their own task states them."""
    analyzed(tmp_path, "full", "--test", "arithmetic/test", "--only", "probe", "lens", "--rows", "8")
    record = json.loads((tmp_path / "full" / "analysis" / "arithmetic-test" / "results.json").read_text())
    assert record["examples"] == 8 and {cell["step"] for cell in record["probe"]["probe"]} >= {1, 2}
    assert all(cell["right"] == 0 for cell in record["probe"]["probe"]), "no story ends in a number"


def test_questions_without_steps(tmp_path: Path) -> None:
    rows = [{"question": f"{name} has the key. Who has the key?", "answer": name} for name in ("Ann", "Bob")]
    (tmp_path / "own.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ["--test", "own/test", f"data.own.test={tmp_path}/own.jsonl", "--only", "probe", "lens", "steps", "pca"]
    analyzed(tmp_path, "full", *words)
    report = (tmp_path / "full" / "analysis" / "own-test" / "report.md").read_text()
    assert "These questions have no steps: there is no value to name." in report
    assert "Fewer than two of these questions have steps: nothing to project." in report


def test_along_training(tmp_path: Path) -> None:
    """Every kept checkpoint once, the untrained model first; a report for each and one for all."""
    run = shutil.copytree(FORMER / "full", tmp_path / "full")
    weights = run / "weights"
    shutil.copy(weights / "refinement-best.safetensors", weights / "refinement-last.safetensors")
    words = ["--run", str(run), "--rows", "16", "--only", "patch", "lens", "--along-training", f"data.cache={tmp_path}"]
    assert main(words) == 0
    found = run / "analysis" / "tracking-test" / "along"
    points = json.loads((found / "results.json").read_text())["along"]
    assert [(point["name"], point["update"]) for point in points] == [("untrained", 0), ("refinement-best", 230)]
    assert (found / "along.png").exists() and (found / "untrained" / "lens.png").exists()
    of_one = json.loads((found / "refinement-best" / "results.json").read_text())["patch"]["other_answer"]
    assert points[1]["follow all blocks"]["count"] == of_one["pairs"] > 0
    assert points[1]["accuracy"]["correct"] / 16 > points[0]["accuracy"]["correct"] / 16
    assert "lens, step 3" in points[1] and "probe, step 3" not in points[1]


def test_the_model_before_training_is_the_one_that_training_begins_with() -> None:
    folder = RunFolder(FORMER / "full")
    config, backbone = folder.config_as_saved(), folder.load_untrained()
    begun = load_backbone(config.backbone, backbone.tokenizer, config.run.seed).state_dict()
    assert all(torch.equal(value, begun[name]) for name, value in backbone.state_dict().items())
    assert not torch.equal(
        *(each.model.get_input_embeddings().weight for each in (backbone, folder.load_backbone()[0]))
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--only", "prob"),
            "--only prob: no such part; did you mean 'probe'?; there are patch, probe, lens, steps, pca, attention",
        ),
        (
            ("--along-training", "--only", "pca"),
            "--only pca is not followed along training: there are patch, probe, lens",
        ),
        (
            ("--along-training", "--checkpoint", "grounding-best"),
            "--along-training looks at every checkpoint, --checkpoint grounding-best at one: give either",
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
