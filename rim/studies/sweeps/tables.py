"""A sweep as Markdown and as CSV: every point, the baselines, means along axes, and where the numbers come from."""

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rim.report.provenance import bootstrap_note, differences, origin
from rim.report.statistics import Estimate
from rim.report.tables import NOTHING, csv_of, table
from rim.studies.sweeps.outcome import VALIDATION, SeedScore
from rim.studies.sweeps.summary import PointSummary, Summary
from rim.studies.sweeps.words import in_words, text_of


def markdown(summary: Summary) -> str:
    parts = [f"# {summary.result.name}", summary.result.question, main_tables(summary)]
    for title, text in further_tables(summary):
        parts += [f"### {title}", text]
    return "\n\n".join(part for part in [*parts, footer(summary)] if part) + "\n"


def main_tables(summary: Summary) -> str:
    """The best point, all points and the baselines: what a terminal shows."""
    parts = [best_point(summary), points_table(summary)]
    if summary.baselines:
        parts += ["Baselines, outside the space:", baselines_table(summary)]
    return "\n\n".join(part for part in parts if part)


def best_point(summary: Summary) -> str:
    """The best point with its scores, and the command that trains it again; empty where nothing has finished."""
    if summary.best is None:
        return ""
    scores = ", ".join(f"{source} {_share(summary.best.scores.get(source))}" for source in summary.sources)
    found = f"Best of {len(summary.complete)} by {summary.result.metric}: **{summary.best.label}** ({scores})."
    command = best_command(summary)
    return f"{found}\n\n```\n{command}\n```" if command else found


def best_command(summary: Summary) -> str:
    """How to train the best point, its first seed; empty where no settings are known."""
    result, best = summary.result, summary.best
    if best is None or not (result.base or result.overrides or best.overrides):
        return ""
    own = [f"run.name={result.name}/best", f"run.seed={best.seeds[0].seed}"]
    files = ["--config", *result.base] if result.base else []
    return shlex.join(["python", "-m", "rim.fit", *files, *result.overrides, *best.overrides, *own])


def points_table(summary: Summary) -> str:
    """A row for each point; the states stand there where one is not complete."""
    axes = [axis.name for axis in summary.result.axes]
    points = [([text_of(point.values.get(name)) for name in axes], point) for point in summary.points]
    return _scores_table(summary, axes, points)


def baselines_table(summary: Summary) -> str:
    return _scores_table(summary, ["baseline"], [([name], point) for name, point in summary.baselines.items()])


def _scores_table(summary: Summary, named: Sequence[str], points: Sequence[tuple[Sequence[str], PointSummary]]) -> str:
    """What points are called, under the names `named`, and their scores; their states where one is not complete."""
    states = any(not point.finished for _, point in points)
    header = [*named, *summary.sources, f"sd of {summary.result.metric}", "seeds", "updates", "minutes"]
    rows = [[*words, *_scores(summary, point)] for words, point in points]
    if states:
        header.append("state")
        for row, (_, point) in zip(rows, points, strict=True):
            row.append(point.state if point.pruned_at is None else f"pruned at {point.pruned_at:,}")
    return table(rows, header)


def _scores(summary: Summary, point: PointSummary) -> list[str]:
    score = point.scores.get(summary.result.metric)
    spread = score.deviation if score else None
    return [
        *(_share(point.scores.get(source)) for source in summary.sources),
        NOTHING if spread is None else f"{spread:.3f}",
        str(len(point.seeds)),
        NOTHING if point.updates is None else f"{point.updates:,.0f}",
        NOTHING if point.minutes is None else f"{point.minutes:.1f}",
    ]


def _share(score: Estimate | None) -> str:
    return NOTHING if score is None else f"{score.value:.3f} [{score.low:.2f}, {score.high:.2f}]"


def further_tables(summary: Summary) -> list[tuple[str, str]]:
    """(title, table): means along every axis of several, and models read with other numbers of blocks."""
    found = []
    for axis in summary.result.axes if len(summary.result.axes) > 1 else ():
        for each in summary.along(axis)[:1]:
            rows = [
                [text_of(value.value), f"{value.points} of {value.expected}"]
                + [_share(value.scores.get(source)) for source in summary.sources]
                for value in each.values
            ]
            title = f"Mean over all points along {axis.name}: {in_words(axis)}"
            found.append((title, table(rows, [axis.name, "points", *summary.sources])))
    sources = dict.fromkeys(source for point in summary.complete for source in point.read_with)
    return [*found, *((f"{source}: read with other numbers of blocks", _read(summary, source)) for source in sources)]


def _read(summary: Summary, source: str) -> str:
    points = [point for point in summary.complete if source in point.read_with]
    blocks = sorted({n for point in points for n in point.read_with[source]})
    rows = [
        [point.label, text_of(point.trained_blocks)] + [_share(point.read_with[source].get(n)) for n in blocks]
        for point in points
    ]
    return table(rows, ["point", "trained with", *(str(n) for n in blocks)])


def footer(summary: Summary) -> str:
    """What the numbers come from, how intervals were made, and what the best score is worth."""
    result = summary.result
    lines = [
        origin(result.facts, summary.seeds),
        _trials(summary),
        _intervals(summary),
        _choice(summary),
        *(f"**{text}**" for text in [*differences(result.facts), *result.notes]),
    ]
    return "\n".join(line for line in lines if line)


def _trials(summary: Summary) -> str:
    states = Counter(point.state for point in summary.points)
    parts = [f"{states[state]} {state}" for state in ("complete", "pruned", "failed", "running") if states[state]]
    return f"{len(summary.points)} trials by {summary.result.sampler}: {', '.join(parts) or 'none begun'}."


def _intervals(summary: Summary) -> str:
    counts = {len(point.seeds) for point in (*summary.complete, *summary.baselines.values())} - {0}
    if not counts:
        return ""
    drawn = (
        "seeds and examples, from counts of right answers, as if a weaker seed were right only where a stronger one "
        "is, the widest case"
    )
    note = bootstrap_note(summary.result.confidence, counts, "points", drawn)
    spread = " sd is the sample standard deviation over seeds." if max(counts) > 1 else ""
    return f"{note}{spread} Updates and minutes are means over seeds."


def _choice(summary: Summary) -> str:
    count, metric = len(summary.complete), summary.result.metric
    if count < 2:
        return ""
    test = "the test scores are not chosen by" if metric == VALIDATION else "and it is a test score: report another one"
    return f"The best of {count} points is chosen by its {metric} score, which makes that score optimistic; {test}."


def csv_text(summary: Summary) -> str:
    """One row per run, and one for a point without any; a cell is empty where a run has nothing of the kind."""
    rows = [row for point in summary.points for row in _flat(point, "")]
    return csv_of(rows + [row for name, point in summary.baselines.items() for row in _flat(point, name)])


def _flat(point: PointSummary, baseline: str) -> list[dict[str, Any]]:
    values = {} if baseline else {name: text_of(value) for name, value in point.values.items()}
    own = {"baseline": baseline, "trial": point.number, **values, "state": point.state}
    return [own | _flat_run(run) for run in point.seeds] or [own]


def _flat_run(run: SeedScore) -> dict[str, Any]:
    row: dict[str, Any] = {"seed": run.seed}
    for source, score in run.scores.items():
        row |= {f"{source} accuracy": score.value, f"{source} right": score.correct, f"{source} examples": score.count}
    for source, scores in run.read_with.items():
        row |= {f"{source} read with {blocks}": score.value for blocks, score in scores.items()}
    flops = "" if run.flops is None else run.flops
    return row | {"updates": run.updates, "minutes": run.minutes, "flops": flops, "folder": run.folder}
