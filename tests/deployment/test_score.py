"""Exported folders are scored as their runs are, and so are folders of another origin; refusals say what to do."""

import json
import re
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from rim import evaluate
from rim.base.errors import UserError
from rim.data.prepare import prepare_tests
from rim.deployment.export import Wanted, export
from rim.deployment.score import score_folder
from rim.evaluation.finished import evaluator_of
from rim.evaluation.predictions import read_jsonl
from rim.runs.folder import RunFolder
from tests.deployment.conftest import Trained
from tests.deployment.pretrained import write_base

TEST = "tracking/test"


def rows_of(run: Path) -> list[str]:
    """The settings of a run that decide about its test set, as overrides."""
    config = RunFolder(run).config()
    story = config.data.tracking
    names = ("people", "max_steps", "train_rows", "test_rows", "seed")
    return [*(f"data.tracking.{name}={getattr(story, name)}" for name in names), f"data.cache={config.data.cache}"]


@pytest.mark.parametrize("variant", ["memory_blocks", "cot"])
def test_an_export_has_the_score_of_its_run(
    variant: str, trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, folder = trained(variant), tmp_path / "model"
    export(run, folder, Wanted())
    more = ["evaluation.blocks=[1,2]"] if variant == "memory_blocks" else []
    line = ["--export", str(folder), "--test", TEST, *rows_of(run), *more, "evaluation.batch_size=3"]
    assert evaluate.main(line) == 0
    found, own = (read_jsonl(place / "results" / "tracking-test.jsonl") for place in (folder, run))
    assert [(row.id, row.answers[-1], row.final, row.steps) for row in found] == [
        (row.id, row.answers[-1], row.final, row.steps) for row in own
    ]
    facts, run_facts = (json.loads((place / "results" / "tracking-test.json").read_text()) for place in (folder, run))
    same = ("examples", "final", "rule", "rows")
    assert {name: facts[name] for name in same} == {name: run_facts[name] for name in same}
    shown = capsys.readouterr().out
    assert "## tracking/test: 8 distinct examples" in shown and f"Folder: {folder}" in shown
    if more:
        by_block = [sum(row.correct[block] for row in own) for block in (0, 1)]
        assert [facts["read_with"][count]["correct"] for count in ("1", "2")] == by_block


@pytest.mark.parametrize("variant", ["memory_blocks", "cot"])
def test_longer_answers_than_the_run_has_seen_have_room_as_under_the_run(
    variant: str, trained: Trained, tmp_path: Path
) -> None:
    run, folder = trained(variant), tmp_path / "model"
    export(run, folder, Wanted())
    row = {"question": "Who?", "steps": ["Ann and Bob swap."] * 9, "answer": "Ann and Bob and Tom"}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    line = ["data.test=[own/test]", f"data.own.test={tmp_path}/rows.jsonl", f"data.cache={tmp_path}/cache"]
    folder_run = RunFolder(run)
    config = folder_run.config(line)
    backbone, _ = folder_run.load_backbone()
    own = evaluator_of(folder_run, config, backbone, prepare_tests(config.data, backbone.tokenizer).values())
    score_folder(folder, line, ["own/test"])
    facts = json.loads((folder / "results" / "own-test.json").read_text())
    assert facts["max_new_tokens"] == own.max_new_tokens() > evaluator_of(folder_run, config, backbone).max_new_tokens()


def test_a_folder_of_another_origin_is_scored_greedily(trained: Trained, tmp_path: Path) -> None:
    """It samples by its own settings, and has no `rim.json`."""
    write_base(tmp_path / "base", ["Ann has the pin."] * 8)
    line = ["data.tracking.test_rows=4", "data.tracking.people=3", f"data.cache={tmp_path}/cache"]
    texts = []
    for _ in range(2):
        score_folder(tmp_path / "base", [*line, "evaluation.max_new_tokens=3"], [TEST])
        texts.append([row.answers for row in read_jsonl(tmp_path / "base" / "results" / "tracking-test.jsonl")])
    assert texts[0] == texts[1] and len(texts[0]) == 4


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--protocol"], "--export takes no --protocol, which are of a run: name it with --run"),
        (["memory.blocks=2"], "--export takes no memory.blocks"),
        (["evaluation.blocks=[3,4]"], r"evaluation.blocks=\[4\]: the chat template of .* writes 3 at most"),
        (["evaluation.max_new_tokens=200"], "up to 200 tokens may follow, but the model has 128: lower evaluation"),
    ],
)
def test_what_is_of_a_run_or_does_not_fit_is_refused(
    line: list[str], said: str, trained: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "model"
    export(trained(), folder, Wanted())
    with pytest.raises(SystemExit):
        evaluate.main(["--export", str(folder), "--test", TEST, *rows_of(trained()), *line])
    assert re.search(said, capsys.readouterr().err)


def test_a_folder_without_a_model_a_test_set_or_a_template_is_refused(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no folder of a model: it has no config"):
        score_folder(tmp_path, [], [TEST])
    export(trained(), tmp_path / "model", Wanted())
    with pytest.raises(UserError, match="--export has no test sets of its own: name some, such as --test gsm8k/test"):
        score_folder(tmp_path / "model", [], [])
    (tmp_path / "model" / "chat_template.jinja").unlink()
    with pytest.raises(UserError, match="has no chat template, so it is not known how a question is put to it"):
        score_folder(tmp_path / "model", [], [TEST])


def test_a_template_that_refuses_a_question_is_named(trained: Trained, tmp_path: Path) -> None:
    export(trained(), tmp_path / "model", Wanted())
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    tokenizer.chat_template = "{{- raise_exception('not today') }}"
    tokenizer.save_pretrained(tmp_path / "model")
    with pytest.raises(UserError, match=r"refuses question 'tracking/test/\d+': not today"):
        score_folder(tmp_path / "model", rows_of(trained()), [TEST])
