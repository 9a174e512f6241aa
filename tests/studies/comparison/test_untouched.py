"""The base model's own scores as rows of a comparison."""

import csv
import io
import json
from pathlib import Path

from rim.evaluation import scoring
from rim.evaluation.metrics import score
from rim.studies.comparison.collect import FinishedRun, collect
from rim.studies.comparison.publish import publish
from rim.studies.comparison.untouched import base_rows
from tests.studies.comparison.fakes import fake_run, predictions

STEPS = [1, 1, 2, 2]
RIGHT = [[True], [True], [True], [False]]
BASE = [[True], [False], [False], [False]]


def finished(folder: Path, entry: str, budget: str = "") -> FinishedRun:
    made = fake_run(folder, {"tracking/test": RIGHT}, "backbone.name=models/small", steps=STEPS, latency=None)
    return collect(made, budget, entry)


def asked(run: FinishedRun, way: str, rows: str = "", marks: list[list[bool]] = BASE) -> None:
    """What `rim.evaluate --base` writes."""
    found = predictions("tracking/test", marks, STEPS)
    result = scoring.TestResult("tracking/test", found, score(found), {}, rows=rows)
    scoring.write_result(
        result, run.folder / "results" / "base" / way, {"name": "models/small", "way": way, "solved": []}
    )


def test_the_base_model_has_a_row_for_each_way_and_the_footer_says_what_it_is(tmp_path: Path) -> None:
    runs = [finished(tmp_path / name, name) for name in ("direct", "rim")]
    asked(runs[1], "direct-0-shot")
    asked(runs[1], "cot-4-shot", marks=RIGHT)
    said = publish("x", tmp_path / "out", runs, "direct")
    lines = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in said.split("\n") if line[:1] == "|"]
    scores = [line for line in lines if len(line) == 7]
    assert [line[0] for line in scores if line[0] != "entry" and not line[0].startswith("-")] == [
        "direct", "rim", "base, cot-4-shot", "base, direct-0-shot",
    ]  # fmt: skip
    row = next(line for line in scores if line[0] == "base, direct-0-shot")
    assert (row[1], row[2], row[4]) == ("1", "0.250", "-0.500"), "paired with the reference, example by example"
    cost = next(line for line in lines if line[0] == "base, direct-0-shot" and len(line) == 5)
    assert cost[1:] == ["0", "0.00e+00", "—", "0"]
    explained = (
        "base: models/small before any training, asked for the answer (direct) or for its own chain of thought (cot) "
        f"after so many solved examples (shot); scored by rim.evaluate --base --run {tmp_path / 'rim'}."
    )
    table = (tmp_path / "out" / "table.md").read_text()
    assert explained in said and table.count(explained) == table.count("### ")
    record = json.loads((tmp_path / "out" / "results.json").read_text())
    assert [run["entry"] for run in record["runs"]] == ["direct", "rim"], "which names the runs of the folder"
    assert record["base"][1]["right"]["tracking/test"]["final"] == 1
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out" / "table.csv").read_text())))
    assert [(row["entry"], row["tracking/test accuracy"]) for row in rows[2:]] == [
        ("base, cot-4-shot", "0.75"), ("base, direct-0-shot", "0.25"),
    ]  # fmt: skip


def test_every_budget_has_the_rows_of_its_first_run_that_has_some(tmp_path: Path) -> None:
    names = (("a", "updates"), ("b", "updates"), ("c", "updates"), ("d", "flops"))
    runs = [finished(tmp_path / name, name, budget) for name, budget in names]
    for run in runs[1:]:
        asked(run, "direct-0-shot")
    found = [(row.budget, row.folder.parents[2].name) for row in base_rows(runs)]
    assert found == [("updates", "b"), ("flops", "d")]


def test_scores_of_other_rows_and_of_a_part_of_the_tests_are_left_out(tmp_path: Path) -> None:
    run = finished(tmp_path / "a", "a")
    assert base_rows([run]) == []
    asked(run, "direct-0-shot", rows="of other rows")
    asked(run, "cot-0-shot")
    (run.folder / "results" / "base" / "cot-0-shot" / "tracking-test.jsonl").unlink()
    assert base_rows([run]) == []


def test_a_base_model_has_no_place_in_the_table_of_transfer(tmp_path: Path) -> None:
    run = finished(tmp_path / "a", "a")
    asked(run, "direct-0-shot")
    publish("x", tmp_path / "out", [run], "a")
    assert "Transfer" not in (tmp_path / "out" / "table.md").read_text()
