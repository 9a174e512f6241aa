"""A sweep as plain types, for `results.json`: all counts, and what was made of them."""

from dataclasses import asdict
from typing import Any

from rim.report.statistics import RESAMPLES
from rim.studies.sweeps.summary import PointSummary, Summary

OWN = ("name", "question", "base", "overrides", "sampler", "metric", "confidence", "notes")


def record_of(summary: Summary) -> dict[str, Any]:
    """Everything of a sweep, so that it can be judged and drawn again without the study."""
    result = summary.result
    return {
        **{name: getattr(result, name) for name in OWN},
        "intervals": f"bootstrap of {RESAMPLES} resamples over seeds and examples, from counts, as if a weaker seed "
        "were right only where a stronger one is",
        **result.facts,
        "axes": [asdict(axis) for axis in result.axes],
        "best": summary.best and summary.best.label,
        "points": [_point(point) for point in summary.points],
        "baselines": {name: _point(point) for name, point in summary.baselines.items()},
        "slices": [asdict(each) for each in summary.slices],
    }


def _point(summary: PointSummary) -> dict[str, Any]:
    """A point and what was made of it side by side."""
    made = asdict(summary)
    point = made.pop("point")
    runs = point.pop("seeds")
    return {**point, **made, "runs": runs}
