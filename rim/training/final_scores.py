"""Scores the final checkpoint of a run on the test sets, and writes the report."""

from pathlib import Path
from shlex import quote
from typing import Any

import torch
from lightning.pytorch.loggers import Logger

from rim.backbone.load import run_of_start
from rim.base.files import write_bytes, write_json
from rim.evaluation.device import scoring_device
from rim.evaluation.scoring import TestResult, score_source, write_result
from rim.report.figures.curve import curve_figure
from rim.report.tables import table
from rim.runs.checkpoint import load_weights
from rim.runs.folder import RESULT, RunFolder
from rim.runs.world import is_first_process
from rim.training.cost import Meter
from rim.training.events import RunLogger
from rim.training.logs import CURVE, prediction_table, read_curve
from rim.training.prepared import Prepared
from rim.training.trackers import flat_settings, open_loggers


def score_test_sets(prepared: Prepared) -> None:
    """Score the final pick once, and print the report; a run that is concluded only prints it again.

    The first process writes and prints. Where weights are shared out, all of them answer every question together.
    """
    folder = prepared.folder
    if not folder.finished:
        _score(prepared)
    if is_first_process():
        print("\n" + (folder.path / "report.md").read_text(encoding="utf-8"))


def _score(prepared: Prepared) -> None:
    folder, config = prepared.folder, prepared.config
    selection = folder.read("selection.json")
    final = selection["final"]
    backbone = prepared.backbone.to(scoring_device(config.training.accelerator))
    about = load_weights(backbone, folder.weights / f"{final}.safetensors")
    about = {key: about[key] for key in ("name", "stage", "update", "validation_correct", "validation_count")}
    results = []
    for source, split in prepared.splits.tests.items():
        if is_first_process():  # with controls this may take as long as the training
            print(f"scoring       {source}: {len(split):,} examples with the weights of {final}", flush=True)
        results.append(score_source(prepared.evaluator, backbone, source, split, config.evaluation))
    training = training_facts(prepared) | cost_facts(prepared)
    if not is_first_process():
        return
    for result in results:
        write_result(result, folder.path / "results", about)
    report = _report(prepared, results, about, training)
    write_bytes(folder.path / "report.md", report.encode())
    with open_loggers(config, folder) as loggers:
        for logger in loggers:
            _log(prepared, results, logger)
            logger.finalize("success")
    scores = {result.source: result.score.final.value for result in results}
    write_json(folder.path / RESULT, {"weights": about, "accuracy": scores, "training": training})


def training_facts(prepared: Prepared) -> dict[str, Any]:
    """Updates, seconds in updates, examples per second, and the share of time in which the trainer waited for data."""
    state = torch.load(prepared.folder.resume, map_location="cpu", mmap=True, weights_only=True)["callbacks"]
    log = state["Logbook"]
    return {
        "updates": prepared.plan.length,
        "seconds": round(log["seconds"], 1),
        "examples_per_second": round(log["examples"] / log["seconds"], 1) if log["seconds"] else None,
        "waiting_for_data": round(log["wait"] / log["seconds"], 4) if log["seconds"] else None,
    }


def cost_facts(prepared: Prepared) -> dict[str, Any]:
    """Floating-point operations of the training, padding apart: of all updates, and of an example by stage.

    Where the run began with another run's weights, `flops_before` is what that one had cost (None: not known).
    """
    config = prepared.config
    meter = Meter(prepared.method, prepared.backbone)
    cost = meter.plan(prepared.splits.train, prepared.plan, config.training.batch_size)
    facts: dict[str, Any] = {"flops": cost.flops, "flops_per_example": cost.flops_per_example}
    start = config.backbone.start_from
    return facts if start is None else facts | {"flops_before": _flops_of(run_of_start(start))}


def _flops_of(run: Path) -> float | None:
    """What the run of a folder had cost, with all runs before it."""
    result = RunFolder(run).read(RESULT)
    training = result["training"] if result else {}
    flops, before = training.get("flops"), training.get("flops_before", 0.0)
    return None if flops is None or before is None else flops + before


def _report(prepared: Prepared, results: list[TestResult], about: dict[str, Any], training: dict[str, Any]) -> str:
    parts = [result.report(prepared.config.evaluation.confidence) for result in results]
    rows = [
        ("updates", f"{training['updates']:,}"),
        ("seconds in updates", training["seconds"]),
        ("examples/s", training["examples_per_second"]),
        ("waiting for data", f"{training['waiting_for_data']:.1%}"),
        *_cost_rows(training),
        ("checkpoint chosen", f"{about['name']} (update {about['update']:,})"),
        ("validation accuracy of the checkpoint", f"{about['validation_correct']}/{about['validation_count']}"),
        *_validation_rows(prepared.folder, about["update"]),
    ]
    parts.append("## training\n\n" + table(rows, ("what", "value")))
    if "tensorboard" in prepared.config.training.loggers:
        parts.append(f"Curves, figures and predictions: tensorboard --logdir {prepared.config.run.folder}")
    parts.append(f"Ask the model: python -m rim.ask --run {quote(str(prepared.folder.path))}")
    return "\n\n".join(parts) + "\n"


def _validation_rows(folder: RunFolder, update: int) -> list[tuple[str, str]]:
    """What the choice had on each of several validation sets."""
    records = [each for each in read_curve(folder.path / CURVE) if each["update"] == update]
    found: dict[str, float] = next((each["accuracy_by_source"] for each in records if "accuracy_by_source" in each), {})
    return [(f"validation accuracy, {source}", f"{value:.3f}") for source, value in found.items()]


def _cost_rows(training: dict[str, Any]) -> list[tuple[str, str]]:
    rows = [("training FLOPs", f"{training['flops']:.3g}")]
    rows += [(f"FLOPs per example, {stage}", f"{each:.3g}") for stage, each in training["flops_per_example"].items()]
    if "flops_before" in training:
        before = training["flops_before"]
        rows.append(("FLOPs of the runs before it", "unknown" if before is None else f"{before:.3g}"))
    return rows


def _log(prepared: Prepared, results: list[TestResult], logger: Logger) -> None:
    """Final scores, and in TensorBoard all that belongs to them."""
    metrics = {f"test_accuracy/{result.source}": result.score.final.value for result in results}
    if isinstance(logger, RunLogger):
        logger.log_hyperparams(flat_settings(prepared.config), metrics)
        _to_tensorboard(prepared, results, logger)
    else:
        logger.log_metrics(metrics, prepared.plan.length)


def _to_tensorboard(prepared: Prepared, results: list[TestResult], logger: RunLogger) -> None:
    """The curve as a figure, test predictions as text, and scores of controls and by block."""
    folder, update, writer = prepared.folder, prepared.plan.length, logger.experiment
    writer.add_figure("training/curve", curve_figure(read_curve(folder.path / CURVE)), update)
    for result in results:
        writer.add_text(f"test_predictions/{result.source}", prediction_table(result.predictions[:10]), update)
        scores = {"as_trained": result.score, **result.controls}
        values = {f"test_controls/{result.source}/{name}": score.final.value for name, score in scores.items()}
        by_block = {f"test_by_block/{result.source}/{k}": s.value for k, s in enumerate(result.score.blocks, 1)}
        logger.log_metrics({**values, **by_block}, update)
