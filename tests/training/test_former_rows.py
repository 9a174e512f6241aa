"""Runs with adapters whose memory rows peft held: they are scored the same, and go on where they were."""

from pathlib import Path

import pytest

from rim import evaluate
from rim.runs.folder import RunFolder
from rim.training.run import fit
from tests.former import HeldByPeft, rows_held_by_peft
from tests.runs import curve, overrides
from tests.training.children import Strike, fit_in_child
from tests.training.test_pretrained import pretrained, settings

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

TOKENS = (280, 281, 282)
LORA = ("backbone.training=lora", "backbone.lora.rank=4", "stages.0.duration=3 steps", "stages.1.duration=2 steps")


@pytest.mark.parametrize("shape", ["gpt2", "llama-untied"])
def test_a_finished_run_is_scored_the_same(tmp_path: Path, shape: str) -> None:
    pretrained(tmp_path, shape)
    with rows_held_by_peft(TOKENS):
        assert fit(settings(tmp_path, shape)) == 0
    run = RunFolder(tmp_path / f"run-{shape}")
    predictions = run.path / "results" / "tracking-test.jsonl"
    before = predictions.read_bytes()
    predictions.unlink()
    assert evaluate.main(["--run", str(run.path)]) == 0
    assert predictions.read_bytes() == before


@pytest.mark.parametrize(("shape", "near"), [("llama-untied", 1e-5), ("gpt2", 1e-3)])
def test_an_interrupted_run_goes_on(tmp_path: Path, shape: str, near: float) -> None:
    """With the optimiser's moments; a tied head goes on with the rows that it had at first."""
    source = pretrained(tmp_path, shape)
    model = (*LORA, "backbone.source=pretrained", f"backbone.name={source}")
    line = {name: overrides(tmp_path, f"run.name={name}", *model) for name in ("killed", "straight")}
    then = {name: HeldByPeft(TOKENS, Strike("on_train_batch_end", at)) for name, at in (("killed", 4), ("straight", 5))}
    for name in line:
        ended = fit_in_child(tmp_path, line[name], then[name])
        assert ended.status == -9, ended.output
    last = fit_in_child(tmp_path, line["killed"])
    assert last.status == 0 and "resumed       after update" in last.output, last.output
    mine, theirs = ([row["loss"] for row in curve(tmp_path / name) if "loss" in row] for name in line)
    assert len(mine) == 5 and mine[: len(theirs)] == pytest.approx(theirs, rel=near)
