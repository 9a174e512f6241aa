"""What a run prints of its rows: short counts on one line, several reasons one to a line, all within 100 columns."""

import pytest

from rim.data.joined import JoinedReport, PartReport
from rim.data.report import WIDTH, Report


@pytest.mark.parametrize(
    ("report", "lines"),
    [
        (Report("own/test", 750, 750, distinct=750), ["own/test: 750 of 750 rows"]),
        (
            Report("own/train", 9000, 2000, {"beyond data.train_rows=2000": 7000}, capped=3, distinct=1999),
            [
                "own/train: 2,000 of 9,000 rows",
                *("  1,999 different questions", "  3 capped", "  7,000 left out: beyond data.train_rows=2000"),
            ],
        ),
        (
            Report("own/train", 2000, 400, {"few": 20, "most": 1500, "some": 80}, distinct=400, noted={"odd steps": 2}),
            [
                *("own/train: 400 of 2,000 rows", "  2 odd steps", "  1,600 left out:"),
                *("    1,500  most", "       80  some", "       20  few"),
            ],
        ),
        (
            Report("own/test", 3, 2, {f"cannot be read, such as row 7 of it: {'word ' * 20}": 1}, distinct=2),
            [
                "own/test: 2 of 3 rows",
                f"  1 left out: cannot be read, such as row 7 of it: {'word ' * 6}word",
                f"              {'word ' * 12}word",
            ],
        ),
    ],
)
def test_counts_of_a_source(report: Report, lines: list[str]) -> None:
    assert str(report).splitlines() == lines
    assert max(map(len, lines)) <= WIDTH


def test_a_mixture_tells_share_and_form_of_every_source() -> None:
    reasons = {"an answer that is not the last result": 884, "a number that the question has twice": 1029}
    parts = (
        PartReport(0.392, "", Report("prosqa/train", 9700, 9700, distinct=9700)),
        PartReport(0.608, "equations", Report("gsm8k_renumbered/train", 13526, 11613, reasons, distinct=11613)),
    )
    assert str(JoinedReport("prosqa/train + gsm8k_renumbered/train", 23226, 21313, parts)).splitlines() == [
        "prosqa/train + gsm8k_renumbered/train: 21,313 of 23,226 rows",
        "39.2 % of examples from prosqa/train: 9,700 of 9,700 rows",
        "60.8 % of examples from gsm8k_renumbered/train: 11,613 of 13,526 rows",
        "  steps as equations",
        "  1,913 left out:",
        "    1,029  a number that the question has twice",
        "      884  an answer that is not the last result",
    ]
