"""A sweep as plain types, for `results.json`: all counts, and what was made of them."""

from dataclasses import asdict
from typing import Any

from rim.report.statistics import RESAMPLES, Estimate
from rim.sweeps.marginals import Slice
from rim.sweeps.outcome import SeedScore
from rim.sweeps.summary import PointSummary, Summary


def record_of(summary: Summary) -> dict[str, Any]:
    """Everything of a sweep, so that it can be judged and drawn again without the study."""
    result = summary.result
    intervals = (
        f"bootstrap of {RESAMPLES} resamples over seeds and examples, from counts, as if a weaker seed were right only "
        "where a stronger one is"
    )
    return {
        "name": result.name,
        "question": result.question,
        "base": list(result.base),
        "overrides": list(result.overrides),
        "sampler": result.sampler,
        "metric": result.metric,
        "confidence": result.confidence,
        "intervals": intervals,
        "notes": list(result.notes),
        **{name: list(values) for name, values in result.facts.items()},
        "axes": [asdict(axis) for axis in result.axes],
        "best": summary.best and summary.best.label,
        "points": [_point_record(point) for point in summary.points],
        "baselines": {name: _point_record(point) for name, point in summary.baselines.items()},
        "slices": [_slice_record(each) for each in summary.slices],
    }


def _point_record(summary: PointSummary) -> dict[str, Any]:
    point = summary.point
    return {
        "label": summary.label,
        "number": point.number,
        "values": dict(point.values),
        "state": point.state,
        "pruned_at": point.pruned_at,
        "overrides": list(point.overrides),
        "blocks": point.blocks,
        "scores": {source: _score_record(score) for source, score in summary.scores.items()},
        "read_with": {
            source: {blocks: _score_record(score) for blocks, score in each.items()}
            for source, each in summary.read_with.items()
        },
        "updates": summary.updates,
        "minutes": summary.minutes,
        "flops": summary.flops,
        "runs": [_run_record(run) for run in point.seeds],
    }


def _score_record(score: Estimate) -> dict[str, Any]:
    return asdict(score) | {"deviation": score.deviation}


def _run_record(run: SeedScore) -> dict[str, Any]:
    counts = {source: asdict(score) for source, score in run.scores.items()}
    read = {source: {n: asdict(score) for n, score in each.items()} for source, each in run.read_with.items()}
    more = {"updates": run.updates, "minutes": run.minutes, "flops": run.flops}
    return {"seed": run.seed, "folder": run.folder, "scores": counts, "read_with": read, **more}


def _slice_record(each: Slice) -> dict[str, Any]:
    values = [
        {
            "value": value.value,
            "points": value.points,
            "expected": value.expected,
            "scores": {source: _score_record(score) for source, score in value.scores.items()},
        }
        for value in each.values
    ]
    return {"axis": each.axis, "fixed": dict(each.fixed), "values": values}
