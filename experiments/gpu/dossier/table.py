"""The record as Markdown: the bars first, then every step."""

from collections.abc import Iterator
from typing import Any

from rim.report.tables import table

TITLES = {
    "equalities": "Equalities on the device",
    "answering": "Answering",
    "training": "Training",
    "arithmetic": "One piece of training: arithmetic from scratch",
    "waits": "A group of one process, and waits",
}
LONGEST = 200
"""Characters of a cell; the record has the whole."""
MET = {True: "yes", False: "**NO**", None: ""}


def markdown(content: dict[str, Any]) -> str:
    """All of a record."""
    kind = "a dry run on a CPU: its numbers mean nothing" if content["dry"] else "on a GPU"
    parts = [f"# The GPU dossier, {kind}", _calls(content["calls"]), "## Bars", _bars(content["steps"])]
    for step, units in content["steps"].items():
        parts += [f"## {TITLES[step]}", _summary(units), _units(units) if units else "", *_tables(units)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _calls(calls: list[dict[str, Any]]) -> str:
    header = ("call", "began", "device", "torch, CUDA, driver", "commit", "clock (s)")
    return table([_call(number, call) for number, call in enumerate(calls, 1)], header)


def _call(number: int, call: dict[str, Any]) -> tuple[str, ...]:
    software = ", ".join(str(call.get(name, "?")) for name in ("torch", "cuda", "driver"))
    commit = str(call.get("commit") or "?")[:12] + (" with changes" if call.get("dirty") else "")
    return (str(number), call["at"], call.get("device", "?"), software, commit, f"{call['clock']:g}")


def _bars(steps: dict[str, Any]) -> str:
    rows = [row for step, units in steps.items() for row in _asked(step, units)]
    return table(rows, ("step", "unit", "what", "value", "asked", "met")) if rows else "None has been asked yet."


def _asked(step: str, units: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, unit in units.items():
        yield from ((step, name, *_cells(each)) for each in unit["findings"] if each["met"] is not None)


def _tables(units: dict[str, Any]) -> Iterator[str]:
    """What units have drawn up themselves."""
    for name, unit in units.items():
        for title, text in unit["tables"].items():
            yield f"### {name}: {title}"
            yield text


def _summary(units: dict[str, Any]) -> str:
    if not units:
        return "Skipped: the clock was out, or its process did not begin."
    counts = {status: sum(unit["status"] == status for unit in units.values()) for status in _STATUSES}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count) + "."


_STATUSES = ("done", "failed", "stopped", "not reached")


def _units(units: dict[str, Any]) -> str:
    rows = [row for name, unit in units.items() for row in _unit(name, unit)]
    return table(rows, ("unit", "call", "seconds", "what", "value", "asked", "met"))


def _unit(name: str, unit: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    head = (name, str(unit["call"]), f"{unit['seconds']:g}")
    if unit["status"] != "done":
        why = (unit["error"].strip().splitlines() or [""])[-1]
        yield (*head, unit["status"], why[:LONGEST], "", "**NO**" if unit["status"] == "failed" else "")
        head = ("", "", "")
    for finding in unit["findings"]:
        yield (*head, *_cells(finding))
        head = ("", "", "")
    if unit["status"] == "done" and not unit["findings"]:
        yield (*head, "holds", "", "", "yes")


def _cells(finding: dict[str, Any]) -> tuple[str, ...]:
    value = finding["value"]
    shown = value if isinstance(value, str) else f"{value:.4g}"
    return (finding["what"], f"{shown} {finding['unit']}".strip()[:LONGEST], finding["bar"], MET[finding["met"]])
