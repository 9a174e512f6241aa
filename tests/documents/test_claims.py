"""docs/claims.md says what the committed records say: every figure is one of theirs, and every claim has a verdict."""

import re
from pathlib import Path

import pytest

from tests.documents.claims import DEFINITION, FIGURE, NUMBER, differs, found, rows, wrong
from tests.documents.pages import COMMAND, LINK, ROOT, SPAN

PAGE = ROOT / "docs" / "claims.md"
TEXT = PAGE.read_text(encoding="utf-8")
CLAIMS = [row for row in rows(TEXT) if len(row) == 5]
VERDICTS = ("supported", "not supported", "contradicted", "not tested here")
NAMES = re.compile(r"GPT-2|SmolLM2-135M|Llama-3\.2-\dB|H100|GSM8K")


@pytest.mark.parametrize("row", CLAIMS, ids=[f"{number}: {row[0]}" for number, row in enumerate(CLAIMS, 1)])
def test_a_claim_has_a_command_a_verdict_and_figures_that_are_the_records(row: list[str]) -> None:
    _, _, command, here, verdict = row
    assert verdict in VERDICTS
    assert COMMAND.search(command) or (ROOT / command.strip("`").removeprefix("python ")).exists()
    assert wrong(here, TEXT, PAGE.parent) == []
    assert NUMBER.findall(NAMES.sub("", LINK.sub("", SPAN.sub("", FIGURE.sub("", here))))) == [], "not from a record"
    assert verdict == "not tested here" or FIGURE.search(here)


def test_every_verdict_is_explained_and_every_record_used() -> None:
    assert tuple(row[0] for row in rows(TEXT) if len(row) == 2) == VERDICTS
    assert {name for name, _, _ in DEFINITION.findall(TEXT)} == {name for _, name in FIGURE.findall(TEXT)}


def test_what_a_record_does_not_hold_is_found(tmp_path: Path) -> None:
    record = tmp_path / "results.json"
    record.write_text(
        '{"entries": [{"entry": "rim", "cost": {"flops": 2e12}, "accuracy": {"value": 0.5706, "low": -0.2, "high": 1}},'
        ' {"entry": "cot", "cost": {"flops": 3e12}, "accuracy": {"correct": 9, "count": 10}}], "seeds": [0, 1]}'
    )
    rim, cot = "entries / entry=rim / accuracy", "entries / entry=cot / accuracy"
    assert differs("0.571 (−0.20 to +1.0)", record, rim) == differs("0.90 (0.60 to 0.98)", record, cot) == ""
    assert differs("seeds 0, 1", record, "seeds") == differs("2, 3", record, "entries / * / cost / flops") == ""
    assert differs("0.570 (−0.20 to 1.0)", record, rim).startswith("'0.570 (−0.20 to 1.0)' is written, and ")
    assert differs("0.571", record, rim), "its interval is missing"
    assert differs("0.571, 3", record, f"{rim} / value"), "a number more than the record has"
    for way in ("entries / entry=pause / accuracy", "entry / 0"):
        with pytest.raises(LookupError):
            list(found({"entries": [{"entry": "rim"}]}, way))
    assert wrong("[3][a]", '[a]: results.json "seeds"', tmp_path) != []
    with pytest.raises(LookupError):
        wrong("[3][b]", '[a]: results.json "seeds"', tmp_path)
