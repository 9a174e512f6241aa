"""Choosing among answers, from end to end on a tiny run; no example that fitted is in a score; what is refused."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rim import evaluate
from rim.base.errors import SettingsError
from rim.data.prepare import prepare_tests, prepare_validation
from rim.evaluation.early.adaptive import Adaptive, AdaptiveError, check_adaptive, choose_answers, judged
from rim.evaluation.early.adaptive_report import adaptive_json, adaptive_report
from rim.evaluation.early.probe import fit_probe
from rim.evaluation.early.readouts import Readouts
from rim.report.proportion import Proportion
from rim.runs.folder import RunFolder
from rim.settings.load import load
from tests.evaluation.fakes import readouts
from tests.runs import tiny
from tests.swift import fit

SHORT = ("stages.0.duration=6 steps", "stages.1.duration=4 steps", "training.save_every=50 steps")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three blocks, whose cue is a word."""
    folder = tmp_path_factory.mktemp("adaptive")
    assert fit(tiny(folder, *SHORT, "method.answer_cue=So: ")) == 0
    return folder / "run"


def early(run: Path, *more: str) -> dict[str, Any]:
    """What reading a run early writes of its only test set."""
    source = next((item.partition("=")[2] for item in more if item.startswith("source=")), "tracking/test")
    given = [item for item in more if not item.startswith("source=")]
    assert evaluate.main(["--run", str(run), "--adaptive", "--test", source, *given]) == 0
    stem = run / "results" / f"{source.replace('/', '-')}-adaptive"
    return json.loads(stem.with_name(f"{stem.name}.json").read_text())


def test_a_run_is_read_early(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fixed numbers of blocks score what the plain evaluation scores."""
    assert evaluate.main(["--run", str(finished)]) == 0
    plain = json.loads((finished / "results" / "tracking-test.json").read_text())
    capsys.readouterr()
    found = early(finished)
    assert (found["examples"], found["excluded"], found["probe"]["fitted"]) == (8, 0, 16)
    assert [point["correct"] for point in found["fixed"]] == [block["correct"] for block in plain["by_block"]]
    assert found["oracle"]["correct"] == plain["any_block_oracle"]["correct"]
    assert found["validation"] == "tracking/validation"
    for choice in found["choice"].values():
        assert choice["count"] == 8 and choice["of_possible"]["count"] == found["oracle"]["correct"]
    text = capsys.readouterr().out
    assert "| the last block's (the score)" in text and "| any right one (oracle)" in text
    assert "16 validation examples fitted the probe" in text and "those chosen by the score" in text


def test_fitting_examples_are_in_no_score(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = early(finished, "source=tracking/validation", "evaluation.probe_rows=9")
    folder = RunFolder(finished)
    config = folder.config(["data.test=[tracking/validation]", "data.validation_rows=9"])
    tokenizer = folder.tokenizer(config, list)
    fitted = prepare_validation(config.data, tokenizer, config.run.seed)
    tested = prepare_tests(config.data, tokenizer)["tracking/validation"]
    shared = {fitted[row].id for row in range(9)} & {tested[row].id for row in range(len(tested))}
    assert 0 < len(shared) == found["excluded"] and found["examples"] == len(tested) - len(shared)
    assert f"{found['examples']} examples, without {len(shared)} that fitted the probe" in capsys.readouterr().out


def test_the_probe_may_read_another_layer(finished: Path) -> None:
    first, last = early(finished, "evaluation.probe_layer=0"), early(finished)
    assert (first["layer"], last["layer"]) == (0, None)
    assert first["choice"]["confidence"] == last["choice"]["confidence"]
    assert first["auroc"]["probe"] != last["auroc"]["probe"]


def test_a_run_is_read_early_although_a_file_of_its_data_has_moved(finished: Path, tmp_path: Path) -> None:
    run = shutil.copytree(finished, tmp_path / "run")
    settings = run / "config.yaml"
    settings.write_text(settings.read_text().replace("modules: []", f"modules: [{tmp_path}/moved.py]"))
    assert early(run, "data.modules=[]")["examples"] == 8


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (["--test", "tracking/validation"], "all 8 examples of tracking/validation fitted the probe, so none is left"),
        (["--protocol"], "not allowed with argument --adaptive"),
        (["memory.blocks=1"], "memory.blocks = 1: there is nothing to choose among"),
        (["evaluation.probe_layer=2"], "evaluation.probe_layer = 2: must be at most 1: backbone.scratch.layers = 2"),
        (["evaluation.probe_rows=1"], "of 1 fitting examples"),
        (["evaluation.probe_rows=0"], "evaluation.probe_rows = 0: must be at least 1"),
    ],
)
def test_what_cannot_be_read_early(
    given: list[str], part: str, finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        evaluate.main(["--run", str(finished), "--adaptive", *given])
    assert stopped.value.code == 2
    assert part in capsys.readouterr().err


@pytest.mark.parametrize("name", ["direct", "pause", "cot", "coconut"])
def test_methods_of_one_answer_are_refused(name: str) -> None:
    with pytest.raises(AdaptiveError, match=rf"method.name = {name}: it gives one answer.* memory_blocks or looped"):
        check_adaptive(load([], [f"method.name={name}"]))
    check_adaptive(load([], ["method.name=looped"]))


def test_a_layer_below_the_insertion_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"evaluation.probe_layer = 1: must be at least memory.insertion_layer = 2"):
        load([], ["memory.insertion_layer=2", "evaluation.probe_layer=1"])
    load([], ["memory.insertion_layer=2", "evaluation.probe_layer=2"])


def result(test: Readouts, fitting: Readouts) -> Adaptive:
    return judged("made/test", fitting, fit_probe(fitting.state_EKD, fitting.correct_EK), test, 0.95)


def joined(one: Readouts, other: Readouts) -> Readouts:
    return Readouts(
        (*one.predictions, *other.predictions),
        np.concatenate([one.confidence_EK, other.confidence_EK]),
        np.concatenate([one.state_EKD, other.state_EKD]),
    )


def test_a_test_set_that_holds_fitting_examples_scores_like_one_without() -> None:
    fitting, test = readouts(0, 40, 1), readouts(40, 30, 2)
    alone, mixed = (adaptive_json(result(each, fitting), 0.95) for each in (test, joined(fitting.take([3, 8]), test)))
    assert (alone.pop("excluded"), mixed.pop("excluded")) == (0, 2) and alone == mixed


def test_tables_hold_what_was_counted() -> None:
    test, fitting = readouts(100, 50, 2), readouts(0, 60, 1)
    found = result(test, fitting)
    right = test.correct_EK[np.arange(50), choose_answers(test.confidence_EK)[:, 0]]
    assert found.chosen["confidence"] == Proportion(int(right.sum()), 50)
    assert found.oracle == Proportion(int(test.correct_EK.any(1).sum()), 50)
    text = adaptive_report(found, 0.95)
    line = next(line for line in text.splitlines() if line.startswith("| highest confidence"))
    assert f"{right.mean():.3f}" in line and f"{right.sum() / found.oracle.correct:.3f}" in line
    assert max(len(line) for line in text.splitlines()) <= 120


def test_a_choice_takes_the_highest_score_and_of_equal_ones_the_last() -> None:
    score_EK = np.array([[0.1, 0.9, 0.3], [1.0, 0.2, 1.0], [0.5, 0.5, 0.4]])
    assert choose_answers(score_EK).tolist() == [[1], [2], [1]]


def test_answers_that_are_all_right_have_no_area() -> None:
    """Null in JSON, which knows no nan."""
    found = adaptive_json(result(readouts(100, 20, 2, right=1.0), readouts(0, 60, 1)), 0.95)
    assert {area["value"] for area in found["auroc"]["probe"].values()} == {None}
    assert "all alike" in adaptive_report(result(readouts(100, 20, 2, right=1.0), readouts(0, 60, 1)), 0.95)
    json.dumps(found, allow_nan=False)
