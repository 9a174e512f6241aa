"""Choosing among K answers as tables for people, and as plain types for JSON."""

import math
from typing import Any

from rim.evaluation.early.adaptive import Adaptive
from rim.evaluation.early.probe import Auroc
from rim.evaluation.report import plain
from rim.report.proportion import Proportion
from rim.report.tables import around, decimal, percent, table, with_bounds


def adaptive_report(result: Adaptive, confidence: float) -> str:
    """Markdown: the answers that could be taken, and how well the scores tell right from wrong."""
    left_out = f", without {result.excluded:,} that fitted the probe" if result.excluded else ""
    headline = (
        f"## {result.source}: choosing among {len(result.fixed)} answers\n\n{result.final.count:,} examples{left_out}. "
        f"{result.fitted:,} validation examples fitted the probe."
    )
    return "\n\n".join([headline, _choices(result, confidence), _aurocs(result, confidence)])


def adaptive_json(result: Adaptive, confidence: float) -> dict[str, Any]:
    """The result in plain types; an area that is not defined is null."""
    possible = result.oracle.correct
    return {
        "examples": result.final.count,
        "excluded": result.excluded,
        "confidence": confidence,
        "probe": {"fitted": result.fitted, "C": result.strength},
        "fixed": [{"blocks": k, **share_json(share, confidence)} for k, share in enumerate(result.fixed, 1)],
        "oracle": share_json(result.oracle, confidence),
        "choice": {
            name: {
                **share_json(share, confidence),
                "of_possible": share_json(Proportion(share.correct, possible), confidence),
            }
            for name, share in result.chosen.items()
        },
        "auroc": {
            score: {part: {key: finite(value) for key, value in vars(area).items()} for part, area in areas.items()}
            for score, areas in result.aurocs.items()
        },
    }


def share_json(share: Proportion, confidence: float) -> dict[str, Any]:
    """A share with its counts and interval; null of nothing."""
    low, high = share.interval(confidence)
    return {**plain(share), "low": low, "high": high}


def finite(value: float) -> float | None:
    """A number as JSON knows it."""
    return value if math.isfinite(value) else None


def _choices(result: Adaptive, confidence: float) -> str:
    """How many of the answers that could be right are: only the choice is lost."""
    named = {f"after block {k}": share for k, share in enumerate(result.fixed[:-1], 1)}
    named["the last block's (the score)"] = result.final
    named |= {f"highest {name}": share for name, share in result.chosen.items()}
    named["any right one (oracle)"] = result.oracle
    rows = [(name, *with_bounds(share, confidence), _of(share, result.oracle)) for name, share in named.items()]
    return table(rows, ("answer", "accuracy", f"{percent(confidence)} interval", "where some block is right"))


def _aurocs(result: Adaptive, confidence: float) -> str:
    names = list(result.aurocs)
    rows = [(_part(part), *(_area(result.aurocs[name][part]) for name in names)) for part in result.aurocs[names[0]]]
    title = f"### AUROC: how often a right answer scores higher than a wrong one ({percent(confidence)} intervals)\n\n"
    return title + table(rows, ("readouts", *names))


def _part(name: str) -> str:
    return f"after block {name}" if name.isdecimal() else {"chosen": "those chosen by the score"}.get(name, name)


def _area(area: Auroc) -> str:
    if math.isnan(area.value):
        return "all alike"
    return around(area.value, area.low, area.high)


def _of(right: Proportion, possible: Proportion) -> str:
    return decimal(right.correct / possible.correct) if possible.correct else "none is"
