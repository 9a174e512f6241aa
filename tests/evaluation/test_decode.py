"""Runs score, validate and are timed in fixed shapes as they are plainly: methods, controls, training, refusals."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from rim import evaluate
from rim.backbone.backbone import Backbone
from rim.backbone.fast import FastDecoder
from rim.backbone.observer import Observer
from rim.base.errors import UserError
from rim.evaluation.evaluator import Evaluator
from rim.evaluation.lengths import Lengths
from rim.methods.registry import build_method
from rim.studies.comparison.collect import FinishedRun, collect
from rim.studies.comparison.conduct import _with_latency
from tests.models import Rows, example, tiny_backbone
from tests.runs import curve, tiny
from tests.swift import fit
from tests.variants import settings

ROWS: Any = Rows([example(length, seed=length) for length in (9, 5, 40, 14, 7)])


def evaluators(method: str) -> tuple[Backbone, Evaluator, Evaluator, FastDecoder]:
    """A tiny model, a plain evaluator and one in fixed shapes, and what the latter holds."""
    backbone, quick = tiny_backbone("llama"), FastDecoder("static")
    built = build_method(settings(method), backbone.tokenizer)
    built.add_modules(backbone)
    lengths = Lengths(6, 20)
    plain = Evaluator(built, backbone.tokenizer, lengths)
    return backbone, plain, Evaluator(built, backbone.tokenizer, lengths, quick), quick


@pytest.mark.parametrize("method", ["memory_blocks", "cot", "direct", "coconut"])
def test_the_same_is_predicted_before_and_after_an_update(method: str) -> None:
    """As a trainer's validation asks, with what was prepared before the update."""
    backbone, plain, static, quick = evaluators(method)
    with torch.inference_mode():
        before = static.run(backbone, ROWS, 2)
    assert before == plain.run(backbone, ROWS, 2)
    assert any(text for row in before for text in (*row.answers, *row.texts))
    rooms = dict(quick.rooms)
    optimizer = torch.optim.AdamW(backbone.parameters(), lr=0.3)
    sum(
        (weight * torch.sin(torch.arange(weight.numel()).view_as(weight))).sum() for weight in backbone.parameters()
    ).backward()
    optimizer.step()
    with torch.inference_mode():
        after = static.run(backbone, ROWS, 2)
    assert after == plain.run(backbone, ROWS, 2) != before
    assert rooms and all(quick.rooms[shape] is room for shape, room in rooms.items())


def test_what_only_plain_decoding_can_do_is_decoded_plainly() -> None:
    backbone, plain, static, quick = evaluators("memory_blocks")
    for control in ("swapped", "noise"):
        torch.manual_seed(0)
        found = static.run(backbone, ROWS, 2, control=control)
        torch.manual_seed(0)
        assert found == plain.run(backbone, ROWS, 2, control=control)
    observer = Observer(None)
    assert static.predict(backbone, ROWS, [0, 1], observe=observer) == plain.predict(backbone, ROWS, [0, 1])
    assert observer.state_BKD.shape[0] == 2 and not quick.rooms
    assert static.run(backbone, ROWS, 2, control="removed") == plain.run(backbone, ROWS, 2, control="removed")
    assert quick.rooms, "without blocks nothing is changed"


def predictions(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "results" / "tracking-test.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FinishedRun]:
    """The same few updates, scored in two ways."""
    folder = tmp_path_factory.mktemp("decode")
    short = ("stages.0.duration=6 steps", "stages.1.duration=4 steps", "training.validate_every=2 steps")
    for way in ("plain", "static"):
        assert fit(tiny(folder, *short, f"run.name={way}", f"evaluation.decode={way}")) == 0
    return {way: collect(folder / way, "", way) for way in ("plain", "static")}


def test_a_run_is_the_same_in_fixed_shapes(runs: dict[str, FinishedRun]) -> None:
    plain, static = runs["plain"].folder, runs["static"].folder
    assert curve(static) == curve(plain)
    assert predictions(static) == predictions(plain)
    scores = [json.loads((run / "results" / "tracking-test.json").read_text()) for run in (plain, static)]
    assert scores[0] == scores[1]


def test_a_finished_run_is_scored_in_another_way(runs: dict[str, FinishedRun], monkeypatch: pytest.MonkeyPatch) -> None:
    run, seen = runs["plain"].folder, []
    before, call = predictions(run), FastDecoder.__call__
    monkeypatch.setattr(FastDecoder, "__call__", lambda *given, **named: seen.append(1) or call(*given, **named))
    assert evaluate.main(["--run", str(run), "evaluation.decode=static"]) == 0
    assert predictions(run) == before and seen


def test_a_comparison_times_runs_of_one_way_in_it_and_of_several_plainly(runs: dict[str, FinishedRun]) -> None:
    (alone,), problems = _with_latency([runs["static"]])
    assert alone.latency["decode"] == "static" and not problems
    both, problems = _with_latency([*runs.values()])
    assert [run.latency["decode"] for run in both] == ["plain", "plain"]
    assert problems == [
        "Runs decode in different ways (plain plain, static static), so all latencies are of plain decoding."
    ]


def test_cuda_graphs_without_a_gpu_are_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"decode = 'graph': CUDA graphs need a GPU of NVIDIA, .*; use plain or comp"):
        fit(tiny(tmp_path, "evaluation.decode=graph", "training.accelerator=auto"))
    assert not list(tmp_path.iterdir())
