"""Ratios from made-up times, bars, tables and the figure."""

import csv
import io

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from rim.studies.benchmark.figures import APART, latency_figure
from rim.studies.benchmark.measure import Case
from rim.studies.benchmark.settings import Published
from rim.studies.benchmark.summary import Spread, Summary
from rim.studies.benchmark.tables import (
    bar_cells,
    bars_table,
    bound_table,
    csv_text,
    markdown,
    published_table,
    times_table,
)
from tests.studies.benchmark.fakes import bar, bench, measured, summary, work

DRIFTS = {"direct": [(0.1, 0.2), (0.2, 0.4), (0.4, 0.8)], "rim": [(0.15, 0.22), (0.3, 0.44), (0.6, 0.88)]}
"""A machine that is twice as slow in every round as in the one before."""


def drifting(**changes: object) -> Summary:
    return summary(measured(DRIFTS), bench(**changes))


def test_ratios_are_taken_within_a_round() -> None:
    """Times differ by a factor of four, ratios not at all."""
    direct, rim = drifting().rows
    assert vars(rim.first_ratio) == pytest.approx({"median": 1.5, "p10": 1.5, "p90": 1.5})
    assert vars(rim.full_ratio) == pytest.approx({"median": 1.1, "p10": 1.1, "p90": 1.1})
    assert vars(direct.first_ms) == pytest.approx({"median": 200, "p10": 120, "p90": 360})
    assert direct.full_ratio == Spread(1, 1, 1)
    assert rim.token_ms is not None and rim.token_ms.median == pytest.approx(70)
    assert rim.answers_per_second == pytest.approx(1 / 0.44)


def test_a_median_of_ratios_is_no_ratio_of_medians() -> None:
    made = summary(measured({"direct": [(1, 1), (2, 2), (8, 8)], "rim": [(3, 3), (2, 2), (4, 4)]}), bench())
    assert made.rows[1].full_ratio.median == 1  # of 3, 1 and a half; the medians are 2 and 3


def test_another_reference() -> None:
    assert drifting(reference="rim").rows[0].first_ratio.median == pytest.approx(1 / 1.5)


@pytest.mark.parametrize(
    ("changes", "ratio", "limit", "met"),
    [
        ({"at_most": 1.4}, 1.1, 1.4, True),
        ({"at_most": 1.05}, 1.1, 1.05, False),
        ({"at_most": None, "at_least": 1.05}, 1.1, 1.05, True),
        ({"at_most": None, "at_least": 3.0}, 1.1, 3.0, False),
        ({"time": "first", "at_most": 1.4}, 1.5, 1.4, False),
        ({"time": "first", "at_most": 1.1, "times_positions": True}, 1.5, 1.1 * 2.5, True),
        ({"time": "token", "at_most": 1.0}, 0.7, 1.0, True),
        ({"over": "bound", "time": "token", "at_most": 100.0}, 70, 100.0, True),
        ({"over": "bound", "time": "first", "at_most": 5.0}, 300, 5.0, False),
        ({"at_most": 1.05, "device": "gpu"}, 1.1, 1.05, None),
        ({"at_most": 1.05, "device": "cpu"}, 1.1, 1.05, False),
    ],
)
def test_bars(changes: dict, ratio: float, limit: float, met: bool | None) -> None:
    made = measured(DRIFTS)
    made.work["rim"] = work(positions=25)
    (outcome,) = summary(made, bench(bars=[bar(**changes)])).bars
    assert (outcome.ratio.median, outcome.limit) == (pytest.approx(ratio), pytest.approx(limit))
    assert outcome.met is met


def test_a_bar_of_a_gpu_is_asked_on_one() -> None:
    made = summary(measured(DRIFTS), bench(bars=[bar(at_most=1.05, device="gpu")]), "cuda")
    assert made.bars[0].met is False


def test_bars_are_asked_of_their_ways_of_decoding() -> None:
    made = measured(DRIFTS)
    for case, rounds in measured(DRIFTS, "static").seconds.items():
        made.seconds[case], made.memory[case] = rounds, 1
    both = bench(decode=["plain", "static"], bars=[bar(), bar(decode=["static"]), bar(decode=["graph"])])
    assert [outcome.decode for outcome in summary(made, both).bars] == ["plain", "static", "static"]


def test_what_is_printed_of_a_bar() -> None:
    missed, not_asked = summary(measured(DRIFTS), bench(bars=[bar(at_most=1.05), bar(device="gpu")])).bars
    assert bar_cells(missed) == ("a bar", "plain", "1.10 (1.10 to 1.10)", "at most 1.05", "NO")
    assert bar_cells(not_asked)[-1] == "asked on a gpu only"
    assert "| NO  |" in bars_table(drifting(bars=[bar(at_most=1.05)]))


def test_the_table_of_times() -> None:
    lines = times_table(drifting(), "plain", 1).splitlines()
    assert [cell.strip() for cell in lines[3].split("|")[1:-1]] == [
        "rim", "300.0 (180.0 to 540.0)", "1.50 (1.50 to 1.50)", "440.0 (264.0 to 792.0)", "1.10 (1.10 to 1.10)",
        "70.00", "2.27", "1",
    ]  # fmt: skip


def test_the_bound_stands_beside_the_times() -> None:
    text = bound_table(drifting())
    assert text.startswith("The bound is 1 ms: 0.001 GB of weights at 1 GB/s (measured, reading a matrix).")
    assert "| rim    | plain  |              300.00 |             70.00 |" in text


def test_the_paper_stands_beside_ours() -> None:
    text = published_table(drifting(published=[Published("rim", 7.6, None), Published("direct", 16.1, 126.0)]))
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert rows[2:] == [["rim", "7.6", "—", "300.0", "440.0"], ["direct", "16.1", "126", "200.0", "400.0"]]


def test_markdown_has_all_tables_and_the_footer() -> None:
    made = drifting(bars=[bar()], published=[Published("rim", 7.6)])
    text = markdown(made, "the foot")
    titles = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert titles == [
        "Latency: decode plain, batch 1", "Work of one answer", "Against the reading of the weights",
        "Beside the paper's times", "Bars",
    ]  # fmt: skip
    assert text.startswith("# made\n") and text.endswith("the foot\n")


def test_the_csv_has_a_row_for_each_case() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(drifting()))))
    assert [(row["entry"], row["decode"], row["batch_size"]) for row in rows] == [
        ("direct", "plain", "1"), ("rim", "plain", "1"),
    ]  # fmt: skip
    assert float(rows[1]["first_ms median"]) == pytest.approx(300) and float(rows[1]["positions_to_first"]) == 10


def test_rows_stand_in_the_order_of_the_settings() -> None:
    made = measured(dict(reversed(DRIFTS.items())), "static", 8)
    for way, size in (("static", 1), ("plain", 8), ("plain", 1)):
        for case, rounds in measured(DRIFTS, way, size).seconds.items():
            made.seconds[case], made.memory[case] = rounds, 1
    rows = summary(made, bench(decode=["static", "plain"], batch_sizes=[1, 8])).rows
    assert [row.case for row in rows] == [
        Case(name, way, size) for way in ("static", "plain") for size in (1, 8) for name in ("direct", "rim")
    ]


def test_the_figure_has_every_entry_where_its_times_are() -> None:
    figure = latency_figure(drifting())
    FigureCanvasAgg(figure).draw()
    (axes,) = figure.axes
    assert axes.get_xscale() == "log" and axes.yaxis_inverted()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["direct", "rim"]
    points = [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines if line.get_marker() == "o"]
    assert np.allclose(sorted(points), [(200, -APART), (300, 1 - APART), (400, APART), (440, 1 + APART)])
