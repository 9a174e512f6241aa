"""How accuracy, interventions, probes and lens come along in training, at every checkpoint that a run keeps."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rim.report.proportion import Proportion
from rim.report.tables import decimal, wide_table
from rim.studies.analysis.answering import right
from rim.studies.analysis.figures import curves
from rim.studies.analysis.parts import Analysis
from rim.studies.analysis.patch import BOTH
from rim.studies.analysis.report import Section

ACCURACY, FOLLOWING = "accuracy", "follow all blocks"
COLUMNS = 6
"""Measures side by side in the table."""


@dataclass(frozen=True)
class Point:
    """A checkpoint with its measures by name: shares of questions, or of pairs whose answers were both right."""

    name: str
    stage: str
    update: int
    measures: dict[str, Proportion]


def point_of(analysis: Analysis, about: dict[str, Any], parts: Sequence[str]) -> Point:
    """The measures of a checkpoint; of probes and lens the best of all blocks and layers for each step."""
    marks = right(analysis.subject, analysis.examples)
    measures = {ACCURACY: Proportion(sum(marks), len(marks))}
    if "patch" in parts:
        found = analysis.interventions[0]
        measures[FOLLOWING] = Proportion(found.counts.get(("all blocks", BOTH), Counter())["donor's"], found.pairs)
    held = {"probe": analysis.probes.right} if "probe" in parts else {}
    held |= {"lens": analysis.lenses[0]} if "lens" in parts else {}
    for part, values in held.items():
        measures |= {f"{part}, step {step}": values.best(step)[2] for step in values.steps}
    return Point(about["name"], about["stage"], about["update"], measures)


def along_section(points: Sequence[Point]) -> Section:
    """A row for each checkpoint, and a line for each measure."""
    names = list(dict.fromkeys(name for point in points for name in point.measures))
    rows = [
        (f"{point.name}, {point.update:,}", *(_shown(point.measures.get(name)) for name in names)) for point in points
    ]
    text = (
        "## Along training\n\nShares by checkpoint and number of updates. `follow all blocks`: answers that become the "
        "donor's with its keys\nand values of all blocks, among pairs with two right answers (a dash: none).\n\n"
        + wide_table(rows, ("checkpoint", *names), COLUMNS)
    )
    record = [
        {
            **{"name": point.name, "stage": point.stage, "update": point.update},
            **{name: {"correct": share.correct, "count": share.count} for name, share in point.measures.items()},
        }
        for point in points
    ]
    nothing = Proportion(0, 0)
    lines = {name: [point.measures.get(name, nothing).value for point in points] for name in names}
    return Section(text, record, {"along": curves([point.update for point in points], lines, (ACCURACY, FOLLOWING))})


def _shown(share: Proportion | None) -> str:
    return decimal(share.value) if share is not None and share.count else "—"
