"""A benchmark as Markdown and as CSV."""

from collections.abc import Iterator
from typing import Any

from rim.report.tables import NOTHING, around, csv_of, table
from rim.studies.benchmark.measure import Case
from rim.studies.benchmark.summary import BarOutcome, Row, Spread, Summary


def markdown(summary: Summary, footer: str) -> str:
    """All tables, and what they were measured on under the last."""
    parts = [f"# {summary.bench.name}"]
    for title, text in tables(summary):
        parts += [f"## {title}", text]
    return "\n\n".join([*parts, footer]) + "\n"


def tables(summary: Summary) -> Iterator[tuple[str, str]]:
    """(title, table): times under every way of decoding at every batch size, work, the bound, a paper's times, bars."""
    bench = summary.bench
    for way in bench.decode:
        for size in bench.batch_sizes:
            yield f"Latency: decode {way}, batch {size}", times_table(summary, way, size)
    yield "Work of one answer", work_table(summary)
    yield "Against the reading of the weights", bound_table(summary)
    if bench.published:
        yield "Beside the paper's times", published_table(summary)
    if summary.bars:
        yield "Bars", bars_table(summary)


def times_table(summary: Summary, way: str, size: int) -> str:
    reference = summary.bench.reference_entry
    header = (
        "entry", "first token (ms)", f"over {reference}", "full answer (ms)", f"over {reference}", "ms per token",
        "answers per second", "memory (MiB)",
    )  # fmt: skip
    return table([_times(row) for row in summary.rows if row.case[1:] == (way, size)], header)


def _times(row: Row) -> tuple[str, ...]:
    return (
        row.case.entry,
        _spread(row.first_ms, ".1f"),
        _spread(row.first_ratio, ".2f"),
        _spread(row.full_ms, ".1f"),
        _spread(row.full_ratio, ".2f"),
        f"{row.token_ms.median:.2f}" if row.token_ms else NOTHING,
        f"{row.answers_per_second:.3g}",
        f"{row.memory / 2**20:,.0f}",
    )


def _spread(value: Spread, form: str) -> str:
    return around(value.median, value.p10, value.p90, form)


def work_table(summary: Summary) -> str:
    """Counts, which are exact."""
    header = ("entry", "tokens", "passes before the answer", "passes", "positions before it", "positions", "GFLOPs")
    rows = []
    for name, work in summary.work.items():
        counts = (work.tokens, work.passes_to_first, work.passes, work.positions_to_first, work.positions)
        rows.append((name, *(f"{count:.1f}" for count in counts), f"{work.flops / 1e9:.3g}"))
    return table(rows, header)


def bound_table(summary: Summary) -> str:
    """How many times longer than reading the weights once: the first token, and every further one, at one question."""
    bound, size = summary.bound, summary.bench.batch_sizes[0]
    header = ("entry", "decode", "first token / bound", "per token / bound")
    rows = []
    for row in (row for row in summary.rows if row.case.batch_size == size):
        first = f"{row.first_ms.median / bound.ms:.2f}"
        token = f"{row.token_ms.median / bound.ms:.2f}" if row.token_ms else NOTHING
        rows.append((row.case.entry, row.case.decode, first, token))
    how = "measured, reading a matrix" if bound.measured else "stated"
    line = (
        f"The bound is {bound.ms:.3g} ms: {bound.bytes / 1e9:.3g} GB of weights at {bound.bandwidth / 1e9:.4g} GB/s "
        f"({how}). A first token of several passes cannot come near it."
    )
    return f"{line}\n\n{table(rows, header)}"


def published_table(summary: Summary) -> str:
    """The paper's milliseconds beside ours at the smallest batch; its hardware and software are not ours."""
    bench = summary.bench
    ways = [f"{what} ({way})" for what in ("first, ours", "full, ours") for way in bench.decode]
    rows = []
    for each in bench.published:
        found = [summary.row(Case(each.entry, way, bench.batch_sizes[0])) for way in bench.decode]
        ours = [f"{row.first_ms.median:.1f}" for row in found] + [f"{row.full_ms.median:.1f}" for row in found]
        full = NOTHING if each.full_ms is None else f"{each.full_ms:g}"
        rows.append((each.entry, f"{each.first_ms:g}", full, *ours))
    return table(rows, ("entry, ms", "first, paper", "full, paper", *ways))


def bars_table(summary: Summary) -> str:
    return table([bar_cells(outcome) for outcome in summary.bars], ("bar", "decode", "ratio", "asked", "met"))


def bar_cells(outcome: BarOutcome) -> tuple[str, ...]:
    word = "at most" if outcome.bar.at_most is not None else "at least"
    met = {True: "yes", False: "NO", None: f"asked on a {outcome.bar.device} only"}[outcome.met]
    return (outcome.bar.name, outcome.decode, _spread(outcome.ratio, ".2f"), f"{word} {outcome.limit:.3g}", met)


def csv_text(summary: Summary) -> str:
    return csv_of([_flat(summary, row) for row in summary.rows])


def _flat(summary: Summary, row: Row) -> dict[str, Any]:
    cells: dict[str, Any] = row.case._asdict()
    for name in ("first_ms", "full_ms", "first_ratio", "full_ratio", "token_ms"):
        spread = getattr(row, name)
        cells |= {f"{name} {part}": value for part, value in vars(spread).items()} if spread else {}
    cells |= {"answers_per_second": row.answers_per_second, "memory": row.memory}
    return cells | vars(summary.work[row.case.entry])
