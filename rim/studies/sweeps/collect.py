"""From studies to the records that tables and figures are made of."""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from rim.base.errors import SettingsError
from rim.report.proportion import Proportion
from rim.report.provenance import provenance
from rim.settings.checks import WITH_BLOCKS
from rim.studies.sweeps import outcome
from rim.studies.sweeps.axes import AnyAxis, Listed
from rim.studies.sweeps.outcome import Point, SeedScore, SweepResult
from rim.studies.sweeps.space import Part
from rim.studies.sweeps.study import PRUNED_AT, RANK, Found, parameters, records_of

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}


def collect(parts: Sequence[Part], found: Mapping[str, Found]) -> SweepResult:
    """Everything that a sweep has found so far."""
    main, sweep = parts[-1], parts[-1].sweep
    points = _points(main, found[main.folder])
    baselines = {
        point.values[part.axes[0].name]: point for part in parts[:-1] for point in _points(part, found[part.folder])
    }
    known = main.queue or main.corners()
    config = main.runs(known[0])[0].config() if known and points else None
    records = [record for each in found.values() for record in records_of(each.standing.values())]
    return SweepResult(
        name=sweep.name,
        question=sweep.question,
        axes=tuple(_axis(axis) for axis in main.axes),
        points=tuple(points),
        baselines=baselines,
        metric=sweep.metric,
        sampler=sweep.sampler,
        facts=provenance(record["environment"] for record in records),
        notes=tuple(note for part in parts for note in _notes(part, found[part.folder])) + _other_rows(found),
        base=tuple(sweep.base),
        overrides=tuple(sweep.overrides),
        confidence=config.evaluation.confidence if config else 0.95,
    )


def _points(part: Part, found: Found) -> list[Point]:
    """Points in the order of the space, or in that of their trials; one for each name."""
    order = [part.name(point) for point in part.queue]
    trials = sorted(found.standing.items(), key=lambda item: RANK.index(item[1].state))
    by_name = {found.name(key): trial for key, trial in reversed(trials)}  # the furthest, of equals the first drawn
    shown = {name: trial for name, trial in by_name.items() if trial.state in STATES and parameters(trial)}
    ranked = sorted(shown, key=lambda name: (order.index(name) if name in order else len(order), shown[name].number))
    return [_point(part, shown[name]) for name in ranked]


def _point(part: Part, trial: FrozenTrial) -> Point:
    point = parameters(trial)
    run = part.runs(point)[0]
    try:
        config = run.config()
        blocks = config.memory.blocks if config.method.name in WITH_BLOCKS else None
    except SettingsError:  # a failed draw of TPE that no run accepts
        blocks = None
    return Point(
        number=trial.number,
        values=part.values(point),
        state=STATES[trial.state],
        seeds=tuple(_score(record) for record in records_of([trial])),
        pruned_at=trial.user_attrs.get(PRUNED_AT),
        overrides=run.overrides,
        blocks=blocks,
    )


def _score(record: Mapping[str, Any]) -> SeedScore:
    return SeedScore(
        seed=record["seed"],
        folder=record["folder"],
        scores={source: Proportion(*counts) for source, counts in record["scores"].items()},
        read_with={
            source: {int(blocks): Proportion(*counts) for blocks, counts in each.items()}
            for source, each in record["read_with"].items()
        },
        updates=record["updates"],
        minutes=record["minutes"],
        flops=record["flops"],
    )


def _axis(axis: AnyAxis) -> outcome.Axis:
    if isinstance(axis, Listed):
        return outcome.Axis(axis.name, axis.values)
    return outcome.Axis(axis.name, (), axis.low, axis.high, axis.log)


def _other_rows(found: Mapping[str, Found]) -> tuple[str, ...]:
    """Test sets whose encoded rows differ between runs, by the hashes that their results name."""
    rows = [record.get("rows", {}) for each in found.values() for record in records_of(each.standing.values())]
    sources = sorted({source for each in rows for source in each})
    differ = [source for source in sources if len({each[source] for each in rows if each.get(source)}) > 1]
    if not differ:
        return ()
    return (
        f"Runs have scored different rows of {', '.join(differ)}, or encoded them differently: scores compare only "
        "where a setting of the space explains it.",
    )


def _notes(part: Part, found: Found) -> list[str]:
    said = {
        TrialState.FAIL: "Failed, and not in these numbers",
        TrialState.RUNNING: "Under way, and not in these numbers",
        TrialState.WAITING: "Not begun",
    }
    notes = []
    for state, text in said.items():
        names = [found.name(key) for key, trial in found.standing.items() if trial.state == state]
        if names:
            notes.append(f"{text}: {', '.join(names)}.")
    missing = part.points - len(found.standing)
    if missing > 0:
        notes.append(f"Not begun: {missing} further points{f' of {part.folder}' if part.folder else ''}.")
    drawn = [found.name(key) for key in found.standing]
    if len(set(drawn)) < len(drawn):
        notes.append(f"{len(drawn) - len(set(drawn))} points were drawn a second time, and stand here once.")
    return notes
