"""What tells that a source's rows are others than before, from the reports that a run keeps."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from rim.data.joined import JoinedReport, PartReport
from rim.data.report import Report
from rim.data.same_rows import changes

A, B = "a" * 64, "b" * 64
OLD, NEW = "0" * 40, "1" * 40
FILE = Report("own/train", 9, 9, origin=f"d/rows.jsonl, sha256 {A}", encoded="one")
TABLE = Report("gsm8k/train", 9, 9, origin=f"openai/gsm8k main train at {OLD}", encoded="one")


def kept(report: Report, **changed: Any) -> dict[str, Any]:
    return asdict(replace(report, **changed))


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        (kept(FILE), kept(FILE), None),
        (kept(FILE), kept(FILE, origin=f"elsewhere/rows.jsonl, sha256 {A}"), None),
        (kept(FILE), kept(FILE, origin=f"d/rows.jsonl, sha256 {B}", encoded="two"),
         f"own/train: d/rows.jsonl, sha256 {A} -> d/rows.jsonl, sha256 {B}"),
        (kept(FILE), kept(FILE, encoded="two"),
         "own/train: rows encoded with sha256 one -> with sha256 two"),
        (kept(FILE, origin=f"{FILE.origin}; mine.py, sha256 {A}"),
         kept(FILE, origin=f"{FILE.origin}; mine.py, sha256 {B}"),
         f"own/train: {FILE.origin}; mine.py, sha256 {A} -> {FILE.origin}; mine.py, sha256 {B}"),
        (kept(TABLE), kept(TABLE), None),
        (kept(TABLE), kept(TABLE, origin=f"openai/gsm8k main train at {NEW}"),
         f"gsm8k/train: openai/gsm8k main train at {OLD} -> openai/gsm8k main train at {NEW}"),
        (kept(TABLE), kept(TABLE, origin=f"data/gsm8k/train.jsonl, sha256 {A}"), None),
        (kept(TABLE), kept(TABLE, origin=f"data/gsm8k/train.jsonl, sha256 {A}", encoded="two"),
         "gsm8k/train: rows encoded with sha256 one -> with sha256 two"),
    ],
)  # fmt: skip
def test_a_file_a_commit_or_encoded_rows_may_differ(
    before: dict[str, Any], now: dict[str, Any], told: str | None
) -> None:
    assert [*map(str, changes([before], [now]))] == ([] if told is None else [told])


def test_the_former_commits_of_tables_can_be_asked_for() -> None:
    both = f"ChilleD/SVAMP train at {OLD}; ChilleD/SVAMP test at {OLD}"
    [change] = changes([kept(TABLE, origin=both)], [kept(TABLE, origin=both.replace(OLD, NEW))])
    assert change.revisions == {f"ChilleD/SVAMP@{OLD}"}
    [change] = changes([kept(FILE)], [kept(FILE, encoded="two")])
    assert change.revisions == set()


def test_what_older_runs_did_not_keep_is_not_compared() -> None:
    """They kept the file and its sha256, and of generated rows nothing."""
    old = kept(FILE)
    del old["encoded"], old["noted"]
    assert changes([{key: old[key] for key in ("source", "read", "kept", "dropped")}], [kept(FILE)]) == []
    assert changes([old], [kept(FILE, encoded="two")]) == []
    assert len(changes([old], [kept(FILE, origin=f"d/rows.jsonl, sha256 {B}")])) == 1
    assert changes([old | {"origin": ""}], [kept(FILE, origin=f"sha256 {B}")]) == []
    [change] = changes([old | {"origin": ""}], [kept(FILE, origin=f"sha256 {B}", kept=8)])
    assert str(change) == "own/train: 9 rows -> 8 rows", "but for how many rows there were"


def test_every_source_of_a_mixture_is_compared_and_tests_are_known_as_such() -> None:
    def reports(table: Report, test: Report) -> list[dict[str, Any]]:
        mixture = JoinedReport(
            "own/train + gsm8k/train", 18, 18, (PartReport(0.5, "", FILE), PartReport(0.5, "", table))
        )
        return [asdict(mixture), asdict(FILE), asdict(test)]

    before, moved = reports(TABLE, FILE), replace(TABLE, encoded="two")
    assert changes(before, reports(TABLE, FILE)) == []
    assert [(change.source, change.test) for change in changes(before, reports(moved, FILE))] == [
        ("gsm8k/train", False)
    ]
    other = replace(FILE, source="own/test", encoded="two")
    assert [(change.source, change.test) for change in changes(before, reports(TABLE, other))] == [("own/test", True)]
