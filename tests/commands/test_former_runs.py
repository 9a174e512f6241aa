"""Run folders that an earlier commit wrote still load, score and answer the same."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import rim
from rim.evaluate import main as evaluate
from rim.runs.folder import RunFolder

FORMER = Path(__file__).parents[1] / "former_runs"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(params=["full", "lora"])
def former(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return Path(shutil.copytree(FORMER / request.param, tmp_path / request.param))


def test_predictions_are_those_that_the_commit_wrote(former: Path) -> None:
    """Loading alone compares the logits of a probe with those that were saved beside the weights."""
    evaluate(["--run", str(former), "--test", "tracking/test", f"data.cache={former}/cache"])
    found, recorded = (lines(path) for path in (next(former.glob("**/results/*.jsonl")), former / "recorded.jsonl"))
    assert len({row["answers"][-1] for row in recorded}) > 2, "answers differ, so that equal ones say something"
    assert found == recorded


def test_a_question_has_the_recorded_answer(former: Path) -> None:
    recorded = lines(former / "recorded.jsonl")[:4]
    replies = rim.load(former).answer([row["question"] for row in recorded])
    assert [reply.answer for reply in replies] == [row["answers"][-1] for row in recorded]


def test_settings_are_those_of_the_time(former: Path) -> None:
    config = RunFolder(former).config_as_saved()
    assert (config.backbone.training, config.memory.blocks, config.run.name) == (former.name, 3, former.name)
