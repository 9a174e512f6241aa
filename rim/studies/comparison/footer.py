"""The paragraph under every table of a comparison."""

from collections.abc import Sequence

from rim.report.provenance import bootstrap_note, differences, origin, provenance
from rim.studies.comparison.collect import FinishedRun, by_entry


def footer(runs: Sequence[FinishedRun], confidence: float, notes: Sequence[str] = (), base: str = "") -> str:
    """One paragraph for the foot of a table; where runs differ in what they ran on, that stands there in bold.

    Args:
        notes: further sentences in bold.
        base: what the rows of a base model are; empty: there are none.
    """
    facts = provenance(run.environment for run in runs)
    seeds = [len(members) for members in by_entry(runs).values()]
    lines = [
        origin(facts, sorted({run.seed for run in runs})),
        f"{bootstrap_note(confidence, seeds, 'entries')} Differences are paired by example; p is twice the share of "
        "resamples on the other side of zero.",
        *([base] if base else []),
        *(f"**{text}**" for text in [*differences(facts), *notes]),
    ]
    return "\n".join(lines)
