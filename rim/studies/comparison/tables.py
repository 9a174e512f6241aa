"""The comparison as Markdown and as CSV; every table stands above the same footer."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rim.data.mixture import sources_in
from rim.report.provenance import bootstrap_note, differences, origin, provenance
from rim.report.statistics import Estimate
from rim.report.tables import NOTHING, around, csv_of, percent, steps_label, table, wide_table
from rim.studies.comparison.collect import FinishedRun, by_entry
from rim.studies.comparison.summary import EntrySummary, SourceSummary, Summary

STEP_COLUMNS = 4
"""Numbers of steps side by side, each with its interval; more go into a further table."""

TRAINING = ("entry", "updates", "training FLOPs", "FLOPs before", "training seconds")
ANSWERING = ("entry", "passes before the answer", "positions", "first token (ms)", "full answer (ms)", "tokens")


def markdown(summary: Summary, footer: Callable[[str], str]) -> str:
    """All tables; `footer` gives the text under those of a budget."""
    parts = [f"# {summary.name}"]
    for budget in summary.budgets:
        if budget:
            parts.append(f"## Budget {budget}")
        for title, text in budget_tables(summary, budget):
            parts += [f"### {title}", text, footer(budget)]
    return "\n\n".join(parts) + "\n"


def main_tables(summary: Summary) -> str:
    """Accuracy on every test set and the cost, under every budget: what a terminal shows."""
    parts = []
    for budget in summary.budgets:
        entries = summary.of(budget)
        for source in summary.sources:
            parts += [f"{source}, budget {budget}" if budget else source, accuracy_table(summary, entries, source)]
        parts += [text for _, text in _transfer(summary, budget)]
        parts.append(cost_table(entries))
    return "\n\n".join(parts)


def budget_tables(summary: Summary, budget: str) -> list[tuple[str, str]]:
    """(title, table) of everything under one budget."""
    entries = summary.of(budget)
    found: list[tuple[str, str]] = []
    for source in summary.sources:
        examples = entries[0].tests[source].examples
        found.append((f"{source}: accuracy on {examples:,} examples", accuracy_table(summary, entries, source)))
        if set(entries[0].tests[source].by_steps) != {0}:  # test sets without written steps state none
            found.append((f"{source}: accuracy by number of reasoning steps", steps_table(entries, source)))
        if any(entry.tests[source].controls or entry.tests[source].any_block is not None for entry in entries):
            found.append((f"{source}: controls and any block", controls_table(entries, source)))
    return [*found, *_transfer(summary, budget), ("Cost of training and of answering", cost_table(entries))]


def _transfer(summary: Summary, budget: str) -> list[tuple[str, str]]:
    """The table of transfer, where entries were trained on different sources; a base model was trained on none."""
    entries = [entry for entry in summary.of(budget) if entry.trained_on]
    if len({entry.trained_on for entry in entries}) < 2:
        return []
    return [("Transfer: trained on (rows), tested on (columns)", transfer_table(summary, entries))]


def transfer_table(summary: Summary, entries: Sequence[EntrySummary]) -> str:
    """Accuracy with its interval on every test set, entries by what they were trained on; own tasks are bold."""
    order = list(dict.fromkeys(entry.trained_on for entry in entries))
    rows = [
        (entry.trained_on, entry.entry, *(_transferred(entry, source) for source in summary.sources))
        for entry in sorted(entries, key=lambda entry: order.index(entry.trained_on))
    ]
    explained = f"Accuracy ({percent(summary.confidence)} interval); bold: on a task that the entry was trained on."
    return table(rows, ("trained on", "entry", *summary.sources)) + f"\n\n{explained}"


def _transferred(entry: EntrySummary, source: str) -> str:
    own = {each.partition("/")[0] for each in sources_in(entry.trained_on)}
    share = _share(entry.tests[source].accuracy)
    return f"**{share}**" if source.partition("/")[0] in own else share


def accuracy_table(summary: Summary, entries: Sequence[EntrySummary], source: str) -> str:
    """Accuracy with its interval, and the paired difference to the reference."""
    interval = f"{percent(summary.confidence)} interval"
    rows = [_accuracy(entry, entry.tests[source]) for entry in entries]
    header = ("entry", "seeds", "accuracy", interval, f"minus {summary.reference}", f"{interval}, paired", "p")
    return table(rows, header)


def _accuracy(entry: EntrySummary, test: SourceSummary) -> tuple[str, ...]:
    score, difference = test.accuracy, test.difference
    left = (entry.entry, str(len(entry.seeds)), f"{score.value:.3f}", f"{score.low:.3f} to {score.high:.3f}")
    if difference is None:
        return (*left, NOTHING, NOTHING, NOTHING)
    interval = f"{difference.low:+.3f} to {difference.high:+.3f}"
    return (*left, f"{difference.value:+.3f}", interval, f"{difference.p:.2g}")


def steps_table(entries: Sequence[EntrySummary], source: str) -> str:
    steps = sorted(entries[0].tests[source].by_steps)
    rows = [(entry.entry, *(_share(entry.tests[source].by_steps[n]) for n in steps)) for entry in entries]
    return wide_table(rows, ("entry", *map(steps_label, steps)), STEP_COLUMNS)


def _share(score: Estimate) -> str:
    return around(score.value, score.low, score.high)


def controls_table(entries: Sequence[EntrySummary], source: str) -> str:
    """The same weights with the blocks changed, and the oracle; means over seeds."""
    names = list(dict.fromkeys(name for entry in entries for name in entry.tests[source].controls))
    rows = []
    for entry in entries:
        test = entry.tests[source]
        values = [test.accuracy.value, *(test.controls.get(name) for name in names), test.any_block]
        rows.append((entry.entry, *(NOTHING if value is None else f"{value:.3f}" for value in values)))
    return table(rows, ("entry", "as trained", *(f"blocks {name}" for name in names), "any block (oracle)"))


def cost_table(entries: Sequence[EntrySummary]) -> str:
    """A table of training and one of answering, and a line on how they were measured."""
    training = table([_training(entry) for entry in entries], TRAINING)
    measured: dict[str, list[str]] = {}
    for entry in entries:
        if entry.cost.latency:
            measured.setdefault(_conditions(entry.cost.latency), []).append(entry.entry)
    if not measured:
        return training
    told = "; ".join(measured)
    if len(measured) > 1:
        each = "; ".join(f"of {', '.join(names)} {conditions}" for conditions, names in measured.items())
        told = f"**not measured alike, so it does not compare:** {each}"
    answering = table([_answering(entry) for entry in entries], ANSWERING)
    note = (
        "Training is a mean over seeds. Latency is the first seed's, to the first token of the answer and to its end: "
        f"{told}; mean (10th to 90th percentile)."
    )
    return "\n\n".join([training, answering, note])


def _conditions(latency: Mapping[str, Any]) -> str:
    """What was asked of a model, and where, when its latency was measured."""
    return (
        f"{latency['questions']} questions of {latency['source']}, {latency['batch_size']} at a time, "
        f"{latency['repeats']} times each, on {latency['device']} with {latency['threads']} thread(s), decoding "
        f"{latency.get('decode', 'plain')}"
    )


def _training(entry: EntrySummary) -> tuple[str, ...]:
    cost = entry.cost
    flops, before = ("unknown" if value is None else f"{value:.2e}" for value in (cost.flops, cost.flops_before))
    before = NOTHING if cost.flops_before == 0 else before
    return (entry.entry, f"{cost.updates:,.0f}", flops, before, f"{cost.seconds:,.0f}")


def _answering(entry: EntrySummary) -> tuple[str, ...]:
    latency = entry.cost.latency
    if not latency:
        return (entry.entry, *((len(ANSWERING) - 1) * [NOTHING]))
    times = [
        around(each["mean"], each["p10"], each["p90"], ".1f") for each in (latency["first_ms"], latency["full_ms"])
    ]
    read = (f"{latency['passes_to_first']:.1f}", f"{latency['positions']:.0f}")
    return (entry.entry, *read, *times, f"{latency['tokens']:.1f}")


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
        "resamples on the other side of zero, not corrected for the number of entries.",
        *([base] if base else []),
        *(f"**{text}**" for text in [*differences(facts), *notes]),
    ]
    return "\n".join(lines)


def csv_text(runs: Sequence[FinishedRun]) -> str:
    """One row per run, everything flat; a cell is empty where a run has nothing of the kind."""
    return csv_of([_flat(run) for run in runs])


def _flat(run: FinishedRun) -> dict[str, Any]:
    training, git = run.training, run.environment.get("git") or {}
    row: dict[str, Any] = {"budget": run.budget, "entry": run.entry, "seed": run.seed, "commit": git.get("commit", "")}
    row["trained_on"] = run.config.data.train
    row |= {name: training.get(name, "") for name in ("updates", "seconds", "flops", "flops_before")}
    for source, answers in run.tests.items():
        scores = answers.scores
        row[f"{source} examples"] = scores["examples"]
        row[f"{source} accuracy"] = scores["final"]["accuracy"]
        row |= {f"{source} {n} steps": share["accuracy"] for n, share in scores["by_steps"].items()}
        row |= {f"{source} blocks {name}": value for name, value in answers.controls.items()}
        row[f"{source} any block"] = "" if answers.any_block is None else answers.any_block
    for name in ("passes_to_first", "positions_to_first", "tokens"):
        row[name] = run.latency.get(name, "")
    for name in ("first_ms", "full_ms"):
        row |= {f"{name} {part}": run.latency.get(name, {}).get(part, "") for part in ("mean", "p10", "p90")}
    return row
