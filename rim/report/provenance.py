"""What stands under tables: commit, seeds, hardware, versions, and how intervals were made."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from rim.report.statistics import RESAMPLES
from rim.report.tables import percent

SHOWN = ("python", "torch", "transformers", "lightning", "rim")
"""Versions in the footer; `results.json` has all."""
FEW_SEEDS = 5
"""A bootstrap of n seeds has n - 1 in n of their variance: of five an interval that is a tenth too short."""


def provenance(environments: Iterable[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Every distinct commit, hardware, set of versions and number of threads, in the order of the runs.

    Args:
        environments: what ran each of them, as in its `environment.json`; what it lacks is None.
    """
    kinds = {"commits": "git", "hardware": "hardware", "versions": "versions", "threads": "threads"}
    facts: dict[str, list[Any]] = {name: [] for name in kinds}
    for environment in environments:
        for name, key in kinds.items():
            if environment.get(key) not in facts[name]:
                facts[name].append(environment.get(key))
    return facts


def origin(facts: Mapping[str, Sequence[Any]], seeds: Sequence[int]) -> str:
    """What numbers come from, in one sentence; empty where no run has said it."""
    if not facts.get("commits"):
        return ""
    commits = " and ".join(map(commit_name, facts["commits"]))
    return f"Commit {commits}; seeds {', '.join(map(str, seeds))}; {_hardware(facts)}; {_versions(facts['versions'])}."


def commit_name(commit: dict[str, Any] | None) -> str:
    """A commit as `rim.runs.environment` describes it, and whether files differed from it."""
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


def bootstrap_note(confidence: float, seeds: Collection[int], members: str, drawn: str = "seeds and examples") -> str:
    """How intervals were made, in one or two sentences.

    Args:
        confidence: of the intervals, between 0 and 1.
        seeds: number of seeds of every member.
        members: what has seeds, such as `entries`.
        drawn: what resamples are over where some member has several seeds.
    """
    over = drawn if max(seeds) > 1 else "examples alone: one seed says nothing about other seeds"
    alone = f"; of {members} with one seed over examples alone" if max(seeds) > 1 and min(seeds) == 1 else ""
    scarce = any(1 < each < FEW_SEEDS for each in seeds)
    few = " Drawing from so few seeds understates how much seeds differ." if scarce else ""
    return (
        f"{percent(confidence)} intervals: bootstrap of {RESAMPLES:,} resamples over {over}{alone} (Wilson's where all "
        f"answers are right or all wrong).{few}"
    )


def differences(facts: Mapping[str, Sequence[Any]]) -> list[str]:
    """What the reader must know where runs were not made alike."""
    said = {
        "commits": "Runs were made by different commits: a difference may be the code's.",
        "hardware": "Runs were made on different hardware: seconds and milliseconds do not compare.",
        "versions": "Runs were made with different versions of libraries.",
        "threads": "Runs had different numbers of threads: seconds do not compare.",
    }
    return [text for name, text in said.items() if len(facts.get(name, ())) > 1]
