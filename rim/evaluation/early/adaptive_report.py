"""Reading early as tables for people, as plain types for JSON, and as files of a run."""

import math
from pathlib import Path
from typing import Any

from rim.base.files import write_json
from rim.evaluation.early.adaptive import Adaptive
from rim.evaluation.early.figure import adaptive_figure
from rim.evaluation.early.probe import Auroc
from rim.evaluation.early.stopping import DROP, Curve, Point
from rim.report.proportion import Proportion
from rim.report.publish import write_figure
from rim.report.tables import decimal, percent, table, with_bounds


def adaptive_report(result: Adaptive, confidence: float) -> str:
    """Markdown: rules, choices, and how well the scores tell right from wrong."""
    parts = [
        _headline(result),
        _rules(result, confidence),
        _choices(result, confidence),
        _aurocs(result, confidence),
    ]
    return "\n\n".join(parts)


def adaptive_json(result: Adaptive, confidence: float) -> dict[str, Any]:
    """The result in plain types; a threshold that never stops early, and an area that is not defined, are null."""

    def plain(share: Proportion) -> dict[str, Any]:
        low, high = share.interval(confidence)
        value = share.value if share.count else None
        return {"correct": share.correct, "count": share.count, "accuracy": value, "low": low, "high": high}

    def at(point: Point) -> dict[str, Any]:
        facts = {"threshold": _finite(point.threshold), "blocks": point.blocks, "stops": list(point.stops)}
        return {**facts, **plain(point.accuracy)}

    def by(curve: Curve) -> dict[str, Any]:
        points, held_out = ([at(point) for point in each] for each in (curve.points, curve.held_out))
        return {"chosen": curve.chosen, "points": points, "held_out": held_out}

    return {
        "examples": result.final.count,
        "excluded": result.excluded,
        "confidence": confidence,
        "probe": {"fitted": result.fitted, "C": result.strength},
        "drop": DROP,
        "fixed": [{"blocks": k, **plain(share)} for k, share in enumerate(result.fixed, 1)],
        "oracle": {key: value for key, value in at(result.oracle).items() if key != "threshold"},
        "rules": {curve.rule: by(curve) for curve in result.curves},
        "choice": {
            name: {**plain(choice.accuracy), "of_possible": plain(choice.possible)}
            for name, choice in result.choices.items()
        },
        "auroc": {
            score: {part: {key: _finite(value) for key, value in vars(area).items()} for part, area in areas.items()}
            for score, areas in result.aurocs.items()
        },
    }


def write_adaptive(facts: dict[str, Any], folder: Path, kind: str = "adaptive") -> tuple[Path, Path]:
    """`<source>-<kind>.json` and `.png`; returns their paths.

    Args:
        facts: `adaptive_json`, with `source` and what was read: weights, update, blocks, layer, held-out source.
    """
    stem = folder / f"{facts['source'].replace('/', '-')}-{kind}"
    numbers = stem.with_name(f"{stem.name}.json")
    write_json(numbers, facts)
    return numbers, write_figure(adaptive_figure(facts), stem.with_name(f"{stem.name}.png"))


def _headline(result: Adaptive) -> str:
    left_out = f", without {result.excluded:,} that fitted the probe" if result.excluded else ""
    return (
        f"## {result.source}, read early\n\n"
        f"{result.final.count:,} examples{left_out}. {result.fitted:,} held-out examples fitted the "
        f"probe and chose the thresholds:\nfewest blocks at a held-out accuracy within {100 * DROP:g} point of the "
        "last block's."
    )


def _rules(result: Adaptive, confidence: float) -> str:
    """Where each rule stops as it was chosen, between the fixed numbers of blocks and the oracle."""
    fixed = enumerate(result.fixed, 1)
    rows = [(f"always block {k}", "", f"{k:.2f}", *with_bounds(share, confidence)) for k, share in fixed]
    rows[-1] = (f"{rows[-1][0]} (the score)", *rows[-1][1:])
    rows += [_rule(curve, confidence) for curve in result.curves]
    oracle = result.oracle
    rows.append(("first right block (oracle)", "", f"{oracle.blocks:.2f}", *with_bounds(oracle.accuracy, confidence)))
    return table(rows, ("stopping rule", "threshold", "mean blocks", "accuracy", f"{percent(confidence)} interval"))


def _rule(curve: Curve, confidence: float) -> tuple[str, str, str, str, str]:
    point = curve.point
    if curve.rule == "agreement":
        threshold = f"{point.threshold:g} answers"
    else:
        threshold = f"{point.threshold:.3f}" if math.isfinite(point.threshold) else "never"
    return curve.rule, threshold, f"{point.blocks:.2f}", *with_bounds(point.accuracy, confidence)


def _choices(result: Adaptive, confidence: float) -> str:
    """How many of the answers that could be right are: only the choice is lost."""
    right_any = result.oracle.accuracy
    rows = [("the last block's (the score)", *with_bounds(result.final, confidence), _of(result.final, right_any))]
    rows += [
        (f"highest {name}", *with_bounds(choice.accuracy, confidence), _of(choice.accuracy, right_any))
        for name, choice in result.choices.items()
    ]
    rows.append(("any right one (oracle)", *with_bounds(right_any, confidence), _of(right_any, right_any)))
    header = ("answer", "accuracy", f"{percent(confidence)} interval", "where some block is right")
    return f"### Choosing among the {len(result.fixed)} answers\n\n" + table(rows, header)


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
    return f"{decimal(area.value)} ({decimal(area.low)} to {decimal(area.high)})"


def _of(right: Proportion, possible: Proportion) -> str:
    return decimal(Proportion(right.correct, possible.correct).value) if possible.correct else "none is"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
