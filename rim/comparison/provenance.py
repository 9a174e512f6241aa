"""What stands under every table: commit, seeds, hardware, versions, and how intervals were made."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rim.comparison.collect import FinishedRun
from rim.report.statistics import RESAMPLES

SHOWN = ("python", "torch", "transformers", "lightning", "rim")
"""Versions in the footer; `results.json` has all."""
FEW_SEEDS = 5
"""A bootstrap of n seeds has n - 1 in n of their variance: of five an interval that is a tenth too short."""


def provenance(runs: Sequence[FinishedRun]) -> dict[str, list[Any]]:
    """Every distinct commit, hardware, set of versions and number of threads, in the order of the runs."""
    facts: dict[str, list[Any]] = {"commits": [], "hardware": [], "versions": [], "threads": []}
    for run in runs:
        found = run.environment
        values = (found.get("git"), found.get("hardware"), found.get("versions"), found.get("threads"))
        for known, value in zip(facts.values(), values, strict=True):
            if value not in known:
                known.append(value)
    return facts


def footer(runs: Sequence[FinishedRun], confidence: float, notes: Sequence[str] = ()) -> str:
    """One paragraph for the foot of a table; where runs differ in what they ran on, that stands there in bold."""
    facts = provenance(runs)
    seeds = sorted({run.seed for run in runs})
    lines = [
        origin(facts, seeds),
        _method(runs, confidence),
        *(f"**{text}**" for text in [*differences(facts), *notes]),
    ]
    return "\n".join(lines)


def origin(facts: Mapping[str, Sequence[Any]], seeds: Sequence[int]) -> str:
    """What numbers come from, in one sentence."""
    return (
        f"{_commits(facts['commits'])}; seeds {', '.join(map(str, seeds))}; {_hardware(facts)}; "
        f"{_versions(facts['versions'])}."
    )


def _commits(commits: Sequence[dict[str, Any] | None]) -> str:
    return "Commit " + " and ".join(_commit(commit) for commit in commits)


def _commit(commit: dict[str, Any] | None) -> str:
    if commit is None:
        return "unknown (not a checkout)"
    return commit["commit"][:12] + (" with uncommitted changes" if commit["dirty"] else "")


def _hardware(facts: Mapping[str, Sequence[Any]]) -> str:
    names = []
    for hardware in facts["hardware"]:
        gpus = f", {', '.join(hardware['gpus'])}" if hardware and hardware["gpus"] else ""
        names.append(f"{hardware['cpu']}, {hardware['cores']} cores{gpus}" if hardware else "unknown hardware")
    threads = " or ".join(str(count) for count in facts["threads"] if count is not None)
    return " and ".join(names) + (f", {threads} thread(s) a run" if threads else "")


def _versions(versions: Sequence[dict[str, str] | None]) -> str:
    return " and ".join(", ".join(f"{name} {each.get(name)}" for name in SHOWN) if each else "?" for each in versions)


def _method(runs: Sequence[FinishedRun], confidence: float) -> str:
    counts = Counter((run.budget, run.entry) for run in runs).values()
    over = "seeds and examples" if max(counts) > 1 else "examples alone: one seed says nothing about other seeds"
    alone = "; of entries with one seed over examples alone" if max(counts) > 1 and min(counts) == 1 else ""
    few = " Drawing from so few seeds understates how much seeds differ." if 1 < max(counts) < FEW_SEEDS else ""
    return (
        f"{100 * confidence:g} % intervals: bootstrap of {RESAMPLES:,} resamples over {over}{alone} (Wilson's where "
        "all answers are right or all wrong). Differences are paired by example; p is twice the share of resamples on "
        f"the other side of zero.{few}"
    )


def differences(facts: Mapping[str, Sequence[Any]]) -> list[str]:
    """What the reader must know where runs were not made alike."""
    said = {
        "commits": "Runs were made by different commits: a difference may be the code's.",
        "hardware": "Runs were made on different hardware: seconds and milliseconds do not compare.",
        "versions": "Runs were made with different versions of libraries.",
        "threads": "Runs had different numbers of threads: seconds do not compare.",
    }
    return [text for name, text in said.items() if len(facts[name]) > 1]
